import type { Cluster } from './cluster.ts';
import type { ClickHouseConnection } from './connection.ts';
import { isRefusal } from './failure.ts';

/** A replica that is away is not waited for: it does the same when it comes back. */
const clusterWaitSeconds = 5;
const notAllInTime = ['159', '341'];

/** Not before the server has reached its Keeper: 18.16 falls over when it is asked for this without. */
export async function commandAll(
  connection: ClickHouseConnection,
  cluster: Cluster | null,
  sql: string,
): Promise<void> {
  if (cluster === null) return connection.command(sql);
  await connection.queryServer("SELECT count() AS count FROM system.zookeeper WHERE path = '/'");
  const settings = { distributed_ddl_task_timeout: String(clusterWaitSeconds) };
  await inTime(() => connection.command(sql, settings));
}

export async function inTime(work: () => Promise<void>): Promise<void> {
  await work().catch((error: unknown) => {
    if (!isRefusal(error, notAllInTime)) throw error;
  });
}
