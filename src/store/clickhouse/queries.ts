import { ReadLane } from '../../core/read-lane.ts';
import type { Reading, TimeWindow } from '../../core/store.ts';
import { untilAborted } from '../../platform/deadline.ts';
import type { Preparation } from '../preparation.ts';
import type { ClickHouseConnection, Row } from './connection.ts';

/** A read of a longer window is heavy. */
const heavyMs = 6 * 3_600_000;
/** Names in one query: 18.16 takes 256 KiB of SQL. */
export const namesPerQuery = 500;

/** Asks ClickHouse, once it is set up, and with so many at a time. */
export class Queries {
  readonly #connection: ClickHouseConnection;
  readonly #preparation: Preparation;
  readonly #lanes = { light: new ReadLane(8, 200), heavy: new ReadLane(2, 32) };

  constructor(connection: ClickHouseConnection, preparation: Preparation) {
    this.#connection = connection;
    this.#preparation = preparation;
  }

  /** @param window which it looks at; absent: a short one */
  async all(sql: string, { signal, lane }: Reading, window: TimeWindow = { from: 0, to: 0 }): Promise<Row[]> {
    const ask = async () => {
      await untilAborted(this.#preparation.once(), signal);
      return this.#connection.query(sql, signal);
    };
    if (lane === 'present') return ask();
    const isHeavy = lane === 'background' || window.to - window.from > heavyMs;
    return this.#lanes[isHeavy ? 'heavy' : 'light'].run(ask, signal, lane === 'background');
  }
}
