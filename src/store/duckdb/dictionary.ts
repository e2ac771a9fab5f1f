/** Texts as small integers, both ways, all in memory. */
export class Dictionary {
  readonly #ids = new Map<string, number>();
  readonly #texts = new Map<number, string>();
  #next = 0;
  readonly #fresh: [id: number, text: string][] = [];

  constructor(entries: Iterable<readonly [id: number, text: string]> = []) {
    for (const [id, text] of entries) this.#set(id, text);
  }

  /** Ids up to this one are not given. */
  startAfter(id: number): void {
    this.#next = Math.max(this.#next, id + 1);
  }

  find(text: string): number | undefined {
    return this.#ids.get(text);
  }

  text(id: number): string {
    return this.#texts.get(id) ?? `lost-${id}`;
  }

  idOf(text: string): number {
    const known = this.#ids.get(text);
    if (known !== undefined) return known;
    const id = this.#next;
    this.#set(id, text);
    this.#fresh.push([id, text]);
    return id;
  }

  /** What has not been kept yet: it has to be stored with the rows that use it. */
  fresh(): readonly [id: number, text: string][] {
    return [...this.#fresh];
  }

  /** The first so many of `fresh` are stored now; others may have come meanwhile. */
  keep(count: number): void {
    this.#fresh.splice(0, count);
  }

  ids(): number[] {
    return [...this.#texts.keys()];
  }

  /** Whose rows are gone. The id is not given to another. */
  remove(id: number): void {
    if (this.#ids.get(this.text(id)) === id) this.#ids.delete(this.text(id));
    this.#texts.delete(id);
  }

  #set(id: number, text: string): void {
    this.#ids.set(text, id);
    this.#texts.set(id, text);
    this.#next = Math.max(this.#next, id + 1);
  }
}
