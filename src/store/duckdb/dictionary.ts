/** Texts as small integers, both ways. */
export class Dictionary {
  readonly #ids = new Map<string, number>();
  readonly #texts = new Map<number, string>();
  #next = 0;
  readonly #fresh: [id: number, text: string][] = [];

  constructor(entries: Iterable<readonly [id: number, text: string]> = []) {
    for (const [id, text] of entries) this.#set(id, text);
  }

  get size(): number {
    return this.#ids.size;
  }

  find(text: string): number | undefined {
    return this.#ids.get(text);
  }

  text(id: number): string {
    return this.#texts.get(id) ?? '';
  }

  idOf(text: string): number {
    const known = this.#ids.get(text);
    if (known !== undefined) return known;
    const id = this.#next;
    this.add(id, text);
    return id;
  }

  /** A text with the id somebody else has given it. */
  add(id: number, text: string): void {
    this.#set(id, text);
    this.#fresh.push([id, text]);
  }

  /** What has not been kept yet: it has to be stored with the rows that use it. */
  fresh(): readonly [id: number, text: string][] {
    return [...this.#fresh];
  }

  /** The first so many of `fresh` are stored now; others may have come meanwhile. */
  keep(count: number): void {
    this.#fresh.splice(0, count);
  }

  entries(): [id: number, text: string][] {
    return [...this.#texts];
  }

  #set(id: number, text: string): void {
    this.#ids.set(text, id);
    this.#texts.set(id, text);
    this.#next = Math.max(this.#next, id + 1);
  }
}
