import { HttpError } from '@influxdata/influxdb-client';
import { formatDuration } from '../../core/duration.ts';
import { MonitorError } from '../../core/error.ts';
import type { StoreOptions } from '../../core/store.ts';
import type { InfluxConnection, InfluxVersion } from './connection.ts';

/** InfluxDB keeps at least this long. */
const shortestRetentionMs = 3_600_000;

interface Target {
  connection: InfluxConnection;
  database: string;
  /** Whole seconds. */
  retentionSeconds: number;
  org: string | undefined;
  warn: StoreOptions['warn'];
}

/**
 * Makes the database or bucket with its retention, each version its own way. An existing one is left as
 * it is: others may keep data in it, and a shorter retention would delete them.
 */
export async function bootstrap(
  version: InfluxVersion,
  connection: InfluxConnection,
  database: string,
  options: StoreOptions & { org?: string | undefined },
): Promise<void> {
  const retentionSeconds = Math.ceil(Math.max(options.retentionMs, shortestRetentionMs) / 1000);
  const target: Target = { connection, database, retentionSeconds, org: options.org, warn: options.warn };
  if (version.major === 1) await bootstrapDatabase(target);
  else if (version.major === 2) await bootstrapBucket(target);
  else await bootstrapVersion3(target);
}

async function bootstrapDatabase({ connection, database, retentionSeconds, warn }: Target): Promise<void> {
  const [databases = []] = await connection.query(['SHOW DATABASES']);
  if (!databases.some((row) => row.name === database)) {
    await connection.query([
      `CREATE DATABASE "${database}" WITH DURATION ${retentionSeconds}s REPLICATION 1 SHARD DURATION 1h NAME "amberwatch"`,
    ]);
    return;
  }
  const [policies = []] = await connection.query([`SHOW RETENTION POLICIES ON "${database}"`]);
  const present = policies.find((row) => row.default as unknown as boolean)?.duration;
  if (toSeconds(String(present)) !== retentionSeconds) {
    warn(
      `the InfluxDB database ${database} was there before and keeps data for ${present}, not ${formatDuration(retentionSeconds * 1000)}; change it with ALTER RETENTION POLICY if that is not meant`,
    );
  }
}

/** `48h0m0s` */
function toSeconds(duration: string): number {
  const [, hours = 0, minutes = 0, seconds = 0] = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/.exec(duration) ?? [];
  return Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
}

interface Bucket {
  retentionRules?: { everySeconds?: number }[];
}

async function bootstrapBucket({ connection, database, retentionSeconds, org, warn }: Target): Promise<void> {
  const get = (path: string) => connection.request(path, '', { method: 'GET' });
  const found = (await get(`/api/v2/buckets?name=${encodeURIComponent(database)}`).catch(nullWhenMissing)) as {
    buckets?: Bucket[];
  } | null;
  const bucket = found?.buckets?.[0];
  if (bucket) {
    const present = bucket.retentionRules?.[0]?.everySeconds ?? 0;
    if (present !== retentionSeconds) {
      warn(
        `the InfluxDB bucket ${database} was there before and keeps data for ${present} s, not ${retentionSeconds} s (0: for ever)`,
      );
    }
    return;
  }
  const { orgs = [] } = (await get('/api/v2/orgs')) as { orgs?: { id: string; name: string }[] };
  const owner = org === undefined ? orgs[0] : orgs.find((candidate) => candidate.name === org);
  if (!owner) {
    throw new MonitorError(
      'unavailable',
      `InfluxDB knows no organisation ${org ?? ''}; set AMBERWATCH_INFLUX_ORG to one the token may use`,
    );
  }
  await connection.request(
    '/api/v2/buckets',
    { orgID: owner.id, name: database, retentionRules: [{ type: 'expire', everySeconds: retentionSeconds }] },
    { method: 'POST' },
  );
}

async function bootstrapVersion3({ connection, database, retentionSeconds, warn }: Target): Promise<void> {
  try {
    await connection.request(
      '/api/v3/configure/database',
      { db: database, retention_period: `${retentionSeconds}s` },
      { method: 'POST' },
    );
  } catch (error) {
    const status = statusOf(error);
    if (status !== 409) throw error;
    warn(`the InfluxDB database ${database} was there before; its retention is left as it is`);
  }
}

function statusOf(error: unknown): number | undefined {
  const cause = error instanceof MonitorError ? error.cause : error;
  return cause instanceof HttpError ? cause.statusCode : undefined;
}

function nullWhenMissing(error: unknown): null {
  if (statusOf(error) === 404) return null;
  throw error;
}
