import { BIGINT, DOUBLE, type DuckDBAppender, DuckDBDataChunk, INTEGER } from '@duckdb/node-api';
import bindings from '@duckdb/node-bindings';

/** What a DuckDB chunk holds at most. */
const chunkRows = 2048;
const halfOfTime = 2 ** 32;

/** Fills the `sample` table by copying typed arrays into DuckDB's own memory, as UsageAppender does. */
export class SampleAppender {
  readonly #chunk = DuckDBDataChunk.create([BIGINT, INTEGER, DOUBLE], chunkRows);
  /** In halves, the lower first. */
  readonly #time = new Uint32Array(chunkRows * 2);
  readonly #series = new Int32Array(chunkRows);
  readonly #value = new Float64Array(chunkRows);
  #rows = 0;

  add(appender: DuckDBAppender, series: number, time: number, value: number): void {
    const row = this.#rows++;
    this.#time[row * 2] = time % halfOfTime;
    this.#time[row * 2 + 1] = Math.floor(time / halfOfTime);
    this.#series[row] = series;
    this.#value[row] = value;
    if (this.#rows === chunkRows) this.flush(appender);
  }

  /** Hands what is left over to the appender. */
  flush(appender: DuckDBAppender): void {
    if (this.#rows === 0) return;
    this.#chunk.reset();
    this.#chunk.rowCount = this.#rows;
    const columns = [
      { array: this.#time, bytes: 8 },
      { array: this.#series, bytes: 4 },
      { array: this.#value, bytes: 8 },
    ];
    for (const [index, { array, bytes }] of columns.entries()) {
      const vector = bindings.data_chunk_get_vector(this.#chunk.chunk, index);
      bindings.copy_data_to_vector(vector, 0, array.buffer, 0, this.#rows * bytes);
    }
    appender.appendDataChunk(this.#chunk);
    this.#rows = 0;
  }

  /** Forgets what has not been flushed. */
  clear(): void {
    this.#rows = 0;
  }
}
