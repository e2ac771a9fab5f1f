/** Where lines are drawn: a terminal that shows what it is sent. */
export interface Screen {
  write(text: string): void;
}

const control = '\x1b[';

/** Draws lines over those before, and of these only what is other: a terminal far away has little to take in. */
export class LineScreen {
  readonly #screen: Screen;
  #drawn: readonly string[] = [];
  #isOpen = false;

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  /** A screen of its own, without a cursor; what was there comes back with `close`. */
  open(): void {
    this.#isOpen = true;
    this.#screen.write(`${control}?1049h${control}?25l${control}2J`);
    this.#drawn = [];
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#screen.write(`${control}?25h${control}?1049l`);
  }

  /** After the terminal has another size all is drawn anew. */
  clear(): void {
    if (!this.#isOpen) return;
    this.#screen.write(`${control}2J`);
    this.#drawn = [];
  }

  /** Nothing while it is closed: what was under way then is too late. */
  draw(lines: readonly string[]): void {
    if (!this.#isOpen) return;
    let text = '';
    for (let row = 0; row < Math.max(lines.length, this.#drawn.length); row++) {
      const line = lines[row] ?? '';
      if (line !== this.#drawn[row]) text += `${control}${row + 1};1H${line}${control}K`;
    }
    if (text !== '') this.#screen.write(text);
    this.#drawn = [...lines];
  }
}
