import { BIGINT, type DuckDBAppender, DuckDBDataChunk, INTEGER, UINTEGER } from '@duckdb/node-api';
import bindings from '@duckdb/node-bindings';
import type { ProcessColumns, Snapshot } from '../../core/snapshot.ts';
import type { Dictionary } from './dictionary.ts';
import { percentScale } from './schema.ts';

/** What a DuckDB chunk holds at most. */
const chunkRows = 2048;
const types = [BIGINT, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, BIGINT, INTEGER, UINTEGER];

/** One column as raw memory, with DuckDB's validity bit mask (1 = has a value). */
class Column<T extends Int32Array | Uint32Array | BigInt64Array> {
  readonly data: T;
  readonly #valid = new Uint8Array(chunkRows / 8).fill(0xff);
  #hasNull = false;

  constructor(data: T) {
    this.data = data;
  }

  setNull(row: number): void {
    this.data[row] = typeof this.data[0] === 'bigint' ? 0n : 0;
    this.#valid[row >> 3] = (this.#valid[row >> 3] as number) & ~(1 << (row & 7));
    this.#hasNull = true;
  }

  copyTo(chunk: DuckDBDataChunk, index: number, rows: number): void {
    const vector = bindings.data_chunk_get_vector(chunk.chunk, index);
    bindings.copy_data_to_vector(vector, 0, this.data.buffer as ArrayBuffer, 0, rows * this.data.BYTES_PER_ELEMENT);
    if (!this.#hasNull) return;
    bindings.vector_ensure_validity_writable(vector);
    bindings.copy_data_to_vector_validity(vector, 0, this.#valid.buffer, 0, this.#valid.length);
    this.#valid.fill(0xff);
    this.#hasNull = false;
  }
}

/**
 * Fills the `usage` table from snapshots by copying typed arrays into DuckDB's own memory: five times
 * as fast as one call per value. Nothing is checked on that way, so every value has to be in range
 * before (the schema in core/schema.ts and toSnapshot see to it).
 */
export class UsageAppender {
  readonly #chunk = DuckDBDataChunk.create(types, chunkRows);
  readonly #time = new Column(new BigInt64Array(chunkRows));
  readonly #host = new Column(new Int32Array(chunkRows));
  readonly #name = new Column(new Int32Array(chunkRows));
  readonly #percents = [0, 1, 2, 3].map(() => new Column(new Int32Array(chunkRows)));
  readonly #rss = new Column(new BigInt64Array(chunkRows));
  /** The same memory in halves: writing a bigint per row would cost more than all the rest. */
  readonly #rssHalves = new Uint32Array(this.#rss.data.buffer);
  readonly #count = new Column(new Int32Array(chunkRows));
  readonly #pid = new Column(new Uint32Array(chunkRows));
  readonly #columns = [this.#time, this.#host, this.#name, ...this.#percents, this.#rss, this.#count, this.#pid];
  #rows = 0;

  add(appender: DuckDBAppender, snapshot: Snapshot, host: number, names: Dictionary): void {
    const { processes } = snapshot;
    for (let from = 0; from < processes.name.length; ) {
      const count = Math.min(chunkRows - this.#rows, processes.name.length - from);
      this.#fill(processes, from, count, names);
      this.#time.data.fill(BigInt(snapshot.time), this.#rows, this.#rows + count);
      this.#host.data.fill(host, this.#rows, this.#rows + count);
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
    for (const [index, column] of this.#columns.entries()) column.copyTo(this.#chunk, index, this.#rows);
    appender.appendDataChunk(this.#chunk);
    this.#rows = 0;
  }

  /** Forgets what has not been flushed. */
  clear(): void {
    this.#rows = 0;
  }

  #fill(processes: ProcessColumns, from: number, count: number, names: Dictionary): void {
    const percents = [processes.cpu, processes.cpuMax, processes.memory, processes.memoryMax];
    for (let i = 0; i < count; i++) {
      const row = this.#rows + i;
      this.#name.data[row] = names.idOf(processes.name[from + i] as string);
      this.#count.data[row] = processes.count[from + i] as number;
      const pid = processes.pid[from + i] ?? null;
      if (pid === null) this.#pid.setNull(row);
      else this.#pid.data[row] = pid;
      this.#setRss(row, processes.rssBytes[from + i] ?? null);
    }
    for (const [index, values] of percents.entries()) {
      const column = this.#percents[index] as Column<Int32Array>;
      for (let i = 0; i < count; i++) {
        const value = values[from + i] ?? null;
        if (value === null) column.setNull(this.#rows + i);
        else column.data[this.#rows + i] = Math.round(value * percentScale);
      }
    }
  }

  #setRss(row: number, bytes: number | null): void {
    if (bytes === null) {
      this.#rss.setNull(row);
    } else {
      this.#rssHalves[row * 2] = bytes;
      this.#rssHalves[row * 2 + 1] = bytes / 2 ** 32;
    }
  }
}
