/** What is longer is none of ours: 1 MiB, as a body over HTTP. */
export const longestObjectBytes = 1024 * 1024;

/** One JSON object; or what stood where one should have, and is none. */
export type StreamedObject = { object: Record<string, unknown> } | 'invalid';

const mostParts = 256;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const quote = 0x22;
const backslash = 0x5c;
const firstPrintable = 0x20;
/** Blanks, line ends and NUL; and what stands around the objects of an array. */
const between = new Set([0x00, 0x09, 0x0a, 0x0d, 0x20, 0x2c, 0x5b, 0x5d]);
/** After one of these, `,`, `:` or `[`, a value begins: an object anywhere else is not within the one before. */
const beforeValue = new Set([0x2c, 0x3a, 0x5b]);

/**
 * JSON objects out of bytes that come in any pieces, with or without anything between them. What is no JSON is passed
 * over up to where the next object may begin: a control character in a string, or a brace where JSON has none, is the
 * sign that one was cut off.
 */
export class JsonObjectStream {
  /** It may change at any time. */
  longestBytes: number;
  /** Of the object under way, from its brace on. */
  #parts: Uint8Array[] = [];
  #bytes = 0;
  /** Braces that are open; 0: between objects. */
  #depth = 0;
  #isInString = false;
  #isEscaped = false;
  /** The last byte within an object that is no blank. */
  #last = 0;
  #isGarbage = false;

  constructor(longestBytes = longestObjectBytes) {
    this.longestBytes = longestBytes;
  }

  /** Of an object that has not ended yet. */
  get unfinishedBytes(): number {
    return this.#bytes;
  }

  /** Whether what has come so far ends within an object, that has more bytes than are taken. */
  get isTooLong(): boolean {
    return this.#bytes > this.longestBytes;
  }

  /** What ends in this piece, in order. */
  *push(piece: Uint8Array): Generator<StreamedObject> {
    let start = 0;
    for (let at = 0; at < piece.length; at++) {
      const byte = piece[at] as number;
      if (this.#depth === 0) {
        if (byte === openBrace) {
          this.#begin();
          start = at;
        } else if (this.#beginsGarbage(byte)) yield 'invalid';
      } else if (this.#isInString) {
        if (byte < firstPrintable) {
          this.#drop();
          this.#isGarbage = true;
          yield 'invalid';
        } else this.#goOnInString(byte);
      } else if (byte === openBrace && !beforeValue.has(this.#last)) {
        this.#drop();
        yield 'invalid';
        this.#begin();
        start = at;
      } else if (this.#goOn(byte)) yield this.#end(piece.subarray(start, at + 1));
    }
    if (this.#depth > 0) this.#keep(piece.subarray(start));
  }

  #begin(): void {
    this.#depth = 1;
    this.#last = openBrace;
    this.#isGarbage = false;
  }

  /** Once for all of it up to the next object. */
  #beginsGarbage(byte: number): boolean {
    if (this.#isGarbage || between.has(byte)) return false;
    this.#isGarbage = true;
    return true;
  }

  #goOnInString(byte: number): void {
    if (this.#isEscaped) this.#isEscaped = false;
    else if (byte === backslash) this.#isEscaped = true;
    else if (byte === quote) this.#isInString = false;
  }

  /** Whether the object ends with this byte. */
  #goOn(byte: number): boolean {
    if (byte > firstPrintable) this.#last = byte;
    if (byte === quote) this.#isInString = true;
    else if (byte === openBrace) this.#depth++;
    else if (byte === closeBrace) this.#depth--;
    return this.#depth === 0;
  }

  #end(last: Uint8Array): StreamedObject {
    const bytes = this.#parts.length === 0 ? last : Buffer.concat([...this.#parts, last]);
    this.#drop();
    try {
      return { object: JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString()) };
    } catch {
      return 'invalid';
    }
  }

  /** The piece's memory is its socket's: what is kept of it is copied. */
  #keep(rest: Uint8Array): void {
    this.#parts.push(Uint8Array.prototype.slice.call(rest));
    this.#bytes += rest.length;
    // Each has a cost of its own, however small it is.
    if (this.#parts.length > mostParts) this.#parts = [Buffer.concat(this.#parts)];
  }

  #drop(): void {
    this.#parts = [];
    this.#bytes = 0;
    this.#depth = 0;
    this.#isInString = false;
    this.#isEscaped = false;
  }
}
