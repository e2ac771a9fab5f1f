/** Names as small integers, both ways. Ids given since the last `keep` are undone by `undo`. */
export class Dictionary {
  #ids = new Map<string, number>();
  #names = new Map<number, string>();
  #next = 0;
  #fresh: string[] = [];

  constructor(entries: Iterable<readonly [id: number, name: string]>) {
    for (const [id, name] of entries) this.#set(id, name);
  }

  get size(): number {
    return this.#ids.size;
  }

  find(name: string): number | undefined {
    return this.#ids.get(name);
  }

  name(id: number): string {
    return this.#names.get(id) ?? '';
  }

  idOf(name: string): number {
    const known = this.#ids.get(name);
    if (known !== undefined) return known;
    const id = this.#next;
    this.#set(id, name);
    this.#fresh.push(name);
    return id;
  }

  /** Names that got an id since the last `keep`: they have to be stored with the rows that use them. */
  fresh(): [id: number, name: string][] {
    return this.#fresh.map((name) => [this.#ids.get(name) as number, name]);
  }

  keep(): void {
    this.#fresh = [];
  }

  undo(): void {
    for (const [id, name] of this.fresh()) {
      this.#ids.delete(name);
      this.#names.delete(id);
    }
    this.#fresh = [];
  }

  #set(id: number, name: string): void {
    this.#ids.set(name, id);
    this.#names.set(id, name);
    this.#next = Math.max(this.#next, id + 1);
  }
}
