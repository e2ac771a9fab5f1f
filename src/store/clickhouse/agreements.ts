import type { Agreed, AgreementKind, Agreements } from '../../core/agreement.ts';
import type { Preparation } from '../preparation.ts';
import type { ClickHouseConnection } from './connection.ts';
import { rowBinary } from './row-binary.ts';
import { agreementTable } from './schema.ts';

/** What servers agree on, as JSON: a row for each key, of which the latest counts; an empty one takes back. */
export class ClickHouseAgreements implements Agreements {
  readonly #connection: ClickHouseConnection;
  readonly #preparation: Preparation;

  constructor(connection: ClickHouseConnection, preparation: Preparation) {
    this.#connection = connection;
    this.#preparation = preparation;
  }

  async read(kind: AgreementKind): Promise<ReadonlyMap<string, Agreed>> {
    await this.#preparation.once();
    const sql = `SELECT key, argMax(body, time) AS newest, max(time) AS at FROM agreement WHERE kind = '${kind}' GROUP BY key`;
    const rows = (await this.#connection.query(sql)).filter(({ newest }) => newest !== '');
    return new Map(
      rows.map(({ key, newest, at }) => [String(key), { body: JSON.parse(String(newest)), at: Number(at) }]),
    );
  }

  async write(kind: AgreementKind, entries: ReadonlyMap<string, Agreed>): Promise<void> {
    await this.#preparation.once();
    const { name, columns } = agreementTable;
    const rows = [...entries].map(([key, { body, at }]) => [kind, key, at, body === null ? '' : JSON.stringify(body)]);
    if (rows.length === 0) return;
    await this.#connection.insert(
      name,
      columns.map((column) => column.name),
      rowBinary(columns, rows),
    );
  }
}
