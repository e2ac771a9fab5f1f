import type { ClickHouseConnection } from './connection.ts';
import { newestTable } from './schema.ts';

const { name, columns } = newestTable;
const sql = `INSERT INTO ${name} (${columns.map((column) => column.name).join(', ')})
  SELECT host, max(placed), argMax(time, placed) FROM snapshot WHERE is_from_future = 0 GROUP BY host`;

/**
 * Says of all hosts which snapshot is the newest: a server of an older version, or one that was killed in between, has
 * not. Said twice it is the same.
 */
export async function sayNewest(connection: ClickHouseConnection, signal?: AbortSignal): Promise<void> {
  await connection.insertSelected(sql, signal);
}
