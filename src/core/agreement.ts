/** What servers over one store agree on beside what is measured. */
export const agreementKinds = ['forgotten', 'desired', 'sla', 'watcher'] as const;
export type AgreementKind = (typeof agreementKinds)[number];

/** What somebody said last of a key, and when, epoch milliseconds by their clock. */
export interface Agreed {
  body: unknown;
  at: number;
}

/** Where it is kept; of what two said of the same key the later counts. Both throw MonitorError as a store does. */
export interface Agreements {
  /** By key; what was taken back is not there. */
  read(kind: AgreementKind): Promise<ReadonlyMap<string, Agreed>>;
  /** A `body` that is null takes back what was said. Resolves once it is durable. */
  write(kind: AgreementKind, entries: ReadonlyMap<string, Agreed>): Promise<void>;
}

/** One kind of it as a record that is read and kept whole: only what has changed is written. */
export class AgreedRecord<T> {
  readonly #agreements: Agreements;
  readonly #kind: AgreementKind;
  readonly #now: () => number;
  #known: ReadonlyMap<string, Agreed> = new Map();

  constructor(agreements: Agreements, kind: AgreementKind, now: () => number) {
    this.#agreements = agreements;
    this.#kind = kind;
    this.#now = now;
  }

  async read(): Promise<Record<string, T>> {
    this.#known = await this.#agreements.read(this.#kind);
    return Object.fromEntries([...this.#known].map(([key, { body }]) => [key, body as T]));
  }

  async keep(record: Readonly<Record<string, T>>): Promise<void> {
    const isSame = (key: string, body: unknown) => JSON.stringify(this.#known.get(key)?.body) === JSON.stringify(body);
    const changed = Object.entries(record).filter(([key, body]) => !isSame(key, body));
    const gone = [...this.#known.keys()]
      .filter((key) => !Object.hasOwn(record, key))
      .map((key) => [key, null] as const);
    const entries = new Map([...changed, ...gone].map(([key, body]) => [key, { body, at: this.#after(key) }]));
    if (entries.size === 0) return;
    await this.#agreements.write(this.#kind, entries);
    const known = new Map([...this.#known, ...entries]);
    for (const [key] of gone) known.delete(key);
    this.#known = known;
  }

  /** Later than what is there, also where another server's clock is ahead of this one's. */
  #after(key: string): number {
    return Math.max(this.#now(), (this.#known.get(key)?.at ?? 0) + 1);
  }
}
