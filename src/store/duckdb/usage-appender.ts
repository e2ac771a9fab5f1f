import { BIGINT, type DuckDBAppender, DuckDBDataChunk, INTEGER, UINTEGER } from '@duckdb/node-api';
import bindings from '@duckdb/node-bindings';
import { type PackedSnapshot, packedColumns, packedNull, section } from './packed-snapshot.ts';
import { sqlType } from './schema.ts';

/** What a DuckDB chunk holds at most. */
const chunkRows = 2048;
const duckdbTypes = { BIGINT, INTEGER, UINTEGER };
/** Of time, host, name, and then the columns of the catalogue. */
const types = [BIGINT, INTEGER, ...packedColumns.map(({ id }) => (id === 'name' ? INTEGER : duckdbTypes[sqlType(id)]))];

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
 * wire/snapshot.ts and toSnapshot see to it).
 */
export class UsageAppender {
  readonly #chunk = DuckDBDataChunk.create(types, chunkRows);
  readonly #time = new BigInt64Array(chunkRows);
  readonly #host = new Int32Array(chunkRows);
  readonly #columns = packedColumns.map(({ id, width }) => ({ id, column: new Column(width) }));
  #rows = 0;

  add(appender: DuckDBAppender, { header, rows, data }: PackedSnapshot, host: number): void {
    for (let from = 0; from < rows; ) {
      const count = Math.min(chunkRows - this.#rows, rows - from);
      for (const { id, column } of this.#columns) column.set(section(data, rows, id), from, count, this.#rows);
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
    for (const [index, { column }] of this.#columns.entries()) column.copyTo(this.#chunk, index + 2, this.#rows);
    appender.appendDataChunk(this.#chunk);
    this.#rows = 0;
  }

  /** Forgets what has not been flushed. */
  clear(): void {
    this.#rows = 0;
    for (const { column } of this.#columns) column.clear();
  }
}
