import type { Reading, TimeWindow } from '../../core/store.ts';
import { untilAborted } from '../../platform/deadline.ts';
import type { Preparation } from '../preparation.ts';
import { ReadLanes } from '../read-lanes.ts';
import type { ClickHouseAbout, ClickHouseConnection, Row } from './connection.ts';

/** Names in one query: 18.16 takes 256 KiB of SQL. */
export const namesPerQuery = 500;

/** Asks ClickHouse, once it is set up, and with so many at a time. */
export class Queries {
  readonly #connection: ClickHouseConnection;
  readonly #preparation: Preparation;
  readonly #lanes = new ReadLanes();

  constructor(connection: ClickHouseConnection, preparation: Preparation) {
    this.#connection = connection;
    this.#preparation = preparation;
  }

  get about(): ClickHouseAbout {
    return this.#connection.about;
  }

  /** @param window which it looks at; absent: a short one */
  async all(sql: string, reading: Reading, window: TimeWindow = { from: 0, to: 0 }): Promise<Row[]> {
    const ask = async () => {
      await untilAborted(this.#preparation.once(), reading.signal);
      return this.#connection.query(sql, reading.signal);
    };
    return this.#lanes.run(ask, reading, window);
  }
}
