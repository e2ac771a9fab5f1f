import type { Agreed, AgreementKind, Agreements } from '../src/core/agreement.ts';

/** As a store has it that several servers share. */
export class AgreementsInMemory implements Agreements {
  readonly #kinds = new Map<AgreementKind, Map<string, Agreed>>();

  async read(kind: AgreementKind) {
    return new Map([...this.#of(kind)].filter(([, { body }]) => body !== null));
  }

  async write(kind: AgreementKind, entries: ReadonlyMap<string, Agreed>) {
    const own = this.#of(kind);
    for (const [key, entry] of entries) if (entry.at >= (own.get(key)?.at ?? 0)) own.set(key, structuredClone(entry));
  }

  #of(kind: AgreementKind): Map<string, Agreed> {
    const own = this.#kinds.get(kind) ?? new Map<string, Agreed>();
    this.#kinds.set(kind, own);
    return own;
  }
}
