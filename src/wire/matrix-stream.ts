import { MonitorError, messageOf } from '../core/error.ts';

/** A series of an answer of Prometheus' API with its samples. */
export interface MatrixSeries {
  metric: Record<string, string>;
  /** Seconds since 1970, and the value as text. */
  values?: [time: number, value: string][];
  histograms?: unknown[];
}

/** In front of the series there is little. */
const longestHead = 64 * 1024;
/** Of one series. */
const longestSeries = 32 * 1024 * 1024;
const beforeSeries = /"result"\s*:\s*\[/;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const closeBracket = 0x5d;
const quote = 0x22;
const backslash = 0x5c;
const between = new Set([0x09, 0x0a, 0x0d, 0x20, 0x2c]);

/**
 * The series of a matrix (https://prometheus.io/docs/prometheus/latest/querying/api/#range-vectors) out of an answer
 * that comes in pieces, one after the other: an answer may be larger than what should be in memory at once.
 */
export class MatrixStream {
  /** Whether all series were there. */
  hasEnded = false;
  /** What comes before them; null: it is over. */
  #head: Buffer | null = Buffer.alloc(0);
  #parts: Buffer[] = [];
  #bytes = 0;
  #depth = 0;
  #isInString = false;
  #isEscaped = false;

  /** @throws MonitorError `invalid` for what is no such answer */
  *push(piece: Buffer): Generator<MatrixSeries> {
    const bytes = this.#head === null ? piece : this.#afterHead(this.#head, piece);
    let start = 0;
    for (let at = 0; at < bytes.length && !this.hasEnded; at++) {
      const byte = bytes[at] as number;
      if (this.#depth === 0) {
        if (byte === openBrace) {
          this.#depth = 1;
          start = at;
        } else if (byte === closeBracket) this.hasEnded = true;
        else if (!between.has(byte)) throw malformed('something else than a series stands in it');
      } else if (this.#isInString) this.#goOnInString(byte);
      else if (byte === quote) this.#isInString = true;
      else if (byte === openBrace) this.#depth++;
      else if (byte === closeBrace && --this.#depth === 0) yield this.#series(bytes.subarray(start, at + 1));
    }
    if (this.#depth > 0) this.#keep(bytes.subarray(start));
  }

  #afterHead(head: Buffer, piece: Buffer): Buffer {
    const all = Buffer.concat([head, piece]);
    const found = beforeSeries.exec(all.toString('latin1'));
    if (found === null && all.length > longestHead) throw malformed('it has no result');
    this.#head = found === null ? all : null;
    return found === null ? Buffer.alloc(0) : all.subarray(found.index + found[0].length);
  }

  #goOnInString(byte: number): void {
    if (this.#isEscaped) this.#isEscaped = false;
    else if (byte === backslash) this.#isEscaped = true;
    else if (byte === quote) this.#isInString = false;
  }

  #series(last: Buffer): MatrixSeries {
    const text = Buffer.concat([...this.#parts, last]).toString();
    this.#parts = [];
    this.#bytes = 0;
    try {
      const series = JSON.parse(text) as MatrixSeries;
      if (isSeries(series)) return series;
    } catch (error) {
      throw malformed(messageOf(error));
    }
    throw malformed('a series has no labels or values');
  }

  #keep(rest: Buffer): void {
    this.#parts.push(rest);
    this.#bytes += rest.length;
    if (this.#bytes > longestSeries)
      throw new MonitorError('too_large', `one series has more than ${longestSeries} bytes`);
  }
}

function isSeries({ metric, values = [] }: MatrixSeries): boolean {
  const isLabels =
    typeof metric === 'object' && metric !== null && Object.values(metric).every((value) => typeof value === 'string');
  return (
    isLabels &&
    Array.isArray(values) &&
    values.every((pair) => typeof pair?.[0] === 'number' && typeof pair[1] === 'string')
  );
}

function malformed(why: string): MonitorError {
  return new MonitorError('invalid', `it answers something else than a Prometheus does: ${why}`);
}
