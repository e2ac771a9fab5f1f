import type { About } from './queries.ts';

/** The ids of the texts in `about` by what is looked for in them. */
export class AboutIndex {
  /** Of snapshots that are no host's newest. */
  readonly fromFuture: number[] = [];
  readonly #byIp = new Map<string, number[]>();

  constructor(entries: Iterable<readonly [id: number, text: string]> = []) {
    for (const [id, text] of entries) this.learn(id, JSON.parse(text) as About);
  }

  /** An id that is not in it yet. */
  learn(id: number, { ip, isFromFuture }: About): void {
    if (isFromFuture) this.fromFuture.push(id);
    if (ip === null) return;
    const ids = this.#byIp.get(ip) ?? [];
    this.#byIp.set(ip, ids);
    ids.push(id);
  }

  withIp(ip: string): readonly number[] {
    return this.#byIp.get(ip) ?? [];
  }
}
