import { BIGINT, type DuckDBAppender, DuckDBDataChunk, INTEGER, UINTEGER } from '@duckdb/node-api';
import bindings from '@duckdb/node-bindings';
import { type PackedColumn, type PackedSnapshot, packedNull, rssSection, section } from './packed-snapshot.ts';

/** What a DuckDB chunk holds at most. */
const chunkRows = 2048;
const types = [BIGINT, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, BIGINT, INTEGER, UINTEGER];

/** One column as raw memory, with DuckDB's validity bit mask (1 = has a value). */
class Column {
  /** Twice as long for 64-bit integers, in halves. */
  readonly data: Int32Array<ArrayBuffer>;
  readonly #halves: 1 | 2;
  readonly #valid = new Uint8Array(chunkRows / 8).fill(0xff);
  #hasNull = false;

  constructor(halves: 1 | 2) {
    this.#halves = halves;
    this.data = new Int32Array(chunkRows * halves);
  }

  /** Copies `count` values of a section to `row`; a null is known by its high half. */
  set(values: Int32Array, from: number, count: number, row: number): void {
    const width = this.#halves;
    this.data.set(values.subarray(from * width, (from + count) * width), row * width);
    for (let i = 0; i < count; i++) if (values[(from + i) * width + width - 1] === packedNull) this.#setNull(row + i);
  }

  copyTo(chunk: DuckDBDataChunk, index: number, rows: number): void {
    const vector = bindings.data_chunk_get_vector(chunk.chunk, index);
    bindings.copy_data_to_vector(vector, 0, this.data.buffer, 0, rows * this.#halves * Int32Array.BYTES_PER_ELEMENT);
    if (!this.#hasNull) return;
    bindings.vector_ensure_validity_writable(vector);
    bindings.copy_data_to_vector_validity(vector, 0, this.#valid.buffer, 0, this.#valid.length);
    this.clear();
  }

  clear(): void {
    this.#valid.fill(0xff);
    this.#hasNull = false;
  }

  #setNull(row: number): void {
    this.#valid[row >> 3] = (this.#valid[row >> 3] as number) & ~(1 << (row & 7));
    this.#hasNull = true;
  }
}

/**
 * Fills the `usage` table by copying typed arrays into DuckDB's own memory: five times as fast as one
 * call per value. Nothing is checked on that way, so every value has to be in range before (the schema in
 * core/schema.ts and toSnapshot see to it).
 */
export class UsageAppender {
  readonly #chunk = DuckDBDataChunk.create(types, chunkRows);
  readonly #time = new BigInt64Array(chunkRows);
  readonly #host = new Int32Array(chunkRows);
  readonly #rss = new Column(2);
  readonly #columns: Record<PackedColumn, Column> = {
    name: new Column(1),
    cpu: new Column(1),
    cpuMax: new Column(1),
    memory: new Column(1),
    memoryMax: new Column(1),
    count: new Column(1),
    pid: new Column(1),
  };
  #rows = 0;

  add(appender: DuckDBAppender, { header, rows, data }: PackedSnapshot, host: number): void {
    for (let from = 0; from < rows; ) {
      const count = Math.min(chunkRows - this.#rows, rows - from);
      for (const [column, target] of Object.entries(this.#columns)) {
        target.set(section(data, rows, column as PackedColumn), from, count, this.#rows);
      }
      this.#rss.set(rssSection(data, rows), from, count, this.#rows);
      this.#time.fill(BigInt(header.time), this.#rows, this.#rows + count);
      this.#host.fill(host, this.#rows, this.#rows + count);
      this.#rows += count;
      from += count;
      if (this.#rows === chunkRows) this.flush(appender);
    }
  }

  /** Hands what is left over to the appender. */
  flush(appender: DuckDBAppender): void {
    if (this.#rows === 0) return;
    this.#chunk.reset();
    this.#chunk.rowCount = this.#rows;
    for (const [index, array] of [this.#time, this.#host].entries()) {
      const vector = bindings.data_chunk_get_vector(this.#chunk.chunk, index);
      bindings.copy_data_to_vector(vector, 0, array.buffer, 0, this.#rows * array.BYTES_PER_ELEMENT);
    }
    const { name, cpu, cpuMax, memory, memoryMax, count, pid } = this.#columns;
    for (const [index, column] of [name, cpu, cpuMax, memory, memoryMax, this.#rss, count, pid].entries()) {
      column.copyTo(this.#chunk, index + 2, this.#rows);
    }
    appender.appendDataChunk(this.#chunk);
    this.#rows = 0;
  }

  /** Forgets what has not been flushed. */
  clear(): void {
    this.#rows = 0;
    for (const column of [this.#rss, ...Object.values(this.#columns)]) column.clear();
  }
}
