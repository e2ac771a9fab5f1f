import type { Reading, TimeWindow } from '../../core/store.ts';
import { untilAborted } from '../../platform/deadline.ts';
import type { Preparation } from '../preparation.ts';
import { ReadLanes } from '../read-lanes.ts';
import type { InfluxConnection, Row } from './connection.ts';

/** Series, names or hosts asked for in one query. */
export const seriesPerQuery = 50;

/** Asks InfluxDB, once it is set up, and with so many at a time. */
export class Queries {
  readonly #connection: InfluxConnection;
  readonly #preparation: Preparation;
  readonly #lanes = new ReadLanes();

  constructor(connection: InfluxConnection, preparation: Preparation) {
    this.#connection = connection;
    this.#preparation = preparation;
  }

  async one(statement: string, reading: Reading): Promise<Row[]> {
    const [rows = []] = await this.all([statement], reading);
    return rows;
  }

  /** @param window which the statements look at; absent: a short one */
  async all(
    statements: readonly string[],
    reading: Reading,
    window: TimeWindow = { from: 0, to: 0 },
  ): Promise<Row[][]> {
    const ask = async () => {
      await this.ready(reading.signal);
      return this.#connection.query(statements, reading.signal);
    };
    return this.#lanes.run(ask, reading, window);
  }

  /** Resolves once InfluxDB is set up: to be waited for outside of a lane. */
  ready(signal: AbortSignal | undefined): Promise<void> {
    return untilAborted(this.#preparation.once(), signal);
  }

  /** Without a lane of its own: what another read needs in the middle. */
  queryUnqueued(statements: readonly string[], signal: AbortSignal | undefined): Promise<Row[][]> {
    return this.#connection.query(statements, signal);
  }
}
