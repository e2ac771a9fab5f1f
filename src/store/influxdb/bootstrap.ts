import { formatDuration } from '../../core/duration.ts';
import { MonitorError, messageOf } from '../../core/error.ts';
import type { StoreOptions } from '../../core/store.ts';
import type { InfluxCredentials } from '../open-options.ts';
import { type InfluxConnection, type InfluxVersion, isAway, statusOf } from './connection.ts';

/** InfluxDB keeps at least this long. */
const shortestRetentionMs = 3_600_000;

interface Target {
  connection: InfluxConnection;
  version: InfluxVersion;
  database: string;
  /** Whole seconds. */
  retentionSeconds: number;
  org: string | undefined;
  /** A user of 2.x's older API may write and ask, and no more. */
  isUser: boolean;
  warn: StoreOptions['warn'];
}

/**
 * Makes the database or bucket with its retention, each version its own way, and asks it something. An existing one
 * is left as it is: others may keep data in it, and a shorter retention would delete them.
 * @throws MonitorError that says what is missing
 */
export async function bootstrap(
  connection: InfluxConnection,
  database: string,
  options: StoreOptions & Pick<InfluxCredentials, 'org' | 'token' | 'username'>,
): Promise<void> {
  const { org, warn, retentionMs } = options;
  const version = await connection.version();
  const retentionSeconds = Math.ceil(Math.max(retentionMs, shortestRetentionMs) / 1000);
  const isUser = options.token === undefined && options.username !== undefined;
  const target: Target = { connection, version, database, retentionSeconds, org, isUser, warn };
  if (options.isReadOnly !== true) await make(target);
  await ask(target);
}

async function make(target: Target): Promise<void> {
  if (target.version.major === 1) await bootstrapDatabase(target);
  else if (target.version.major === 2) await bootstrapBucket(target);
  else await bootstrapVersion3(target);
}

/** What is written and what is asked go to the database as these credentials see it. */
async function ask({ connection, database, version }: Target): Promise<void> {
  try {
    await connection.query(['SELECT "interval_ms" FROM "snapshot" WHERE time > now() - 1m LIMIT 1']);
  } catch (error) {
    if (isAway(error)) throw error;
    const other =
      version.major === 2
        ? ': the bucket is not in the organisation of the token, or the token may not read it; use a token of its organisation with read and write on it'
        : ': make it, or use credentials that may read it';
    throw new MonitorError(
      'unavailable',
      `InfluxDB does not let the database ${database} be asked${other} (${messageOf(error)})`,
    );
  }
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
  const present = String(policies.find((row) => row.default as unknown as boolean)?.duration);
  if (toSeconds(present) !== retentionSeconds) {
    const kept = toSeconds(present) === 0 ? 'keeps data for ever' : `keeps data for ${present}`;
    warn(
      `the InfluxDB database ${database} was there before and ${kept}, not for ${formatDuration(retentionSeconds * 1000)}; change it with ALTER RETENTION POLICY if that is not meant`,
    );
  }
}

/** `48h0m0s` */
function toSeconds(duration: string): number {
  const [, hours = 0, minutes = 0, seconds = 0] = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/.exec(duration) ?? [];
  return Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
}

interface Bucket {
  id: string;
  orgID: string;
  retentionRules?: { everySeconds?: number }[];
}

async function bootstrapBucket(target: Target): Promise<void> {
  let bucket: Bucket;
  try {
    bucket = (await findBucket(target)) ?? (await makeBucket(target));
  } catch (error) {
    if (target.isUser && statusOf(error) === 401) return;
    throw error;
  }
  await checkMapping(target, bucket);
}

async function get<T>({ connection }: Target, path: string): Promise<T> {
  return (await connection.request(path, '', { method: 'GET' })) as T;
}

/** Among all that the token sees, those of the organisation that is named. */
async function findBucket(target: Target): Promise<Bucket | null> {
  const { database, org, retentionSeconds, warn } = target;
  const query = new URLSearchParams({ name: database, ...(org !== undefined && { org }) });
  const { buckets = [] } = await get<{ buckets?: Bucket[] }>(target, `/api/v2/buckets?${query}`).catch(noneWhenMissing);
  const [bucket, another] = buckets;
  if (bucket === undefined) return null;
  if (another !== undefined)
    throw new MonitorError(
      'unavailable',
      `several organisations of InfluxDB have a bucket ${database}; name the token's own with AMBERWATCH_INFLUX_ORG`,
    );
  const present = bucket.retentionRules?.[0]?.everySeconds ?? 0;
  if (present !== retentionSeconds) {
    const kept = present === 0 ? 'keeps data for ever' : `keeps data for ${formatDuration(present * 1000)}`;
    warn(
      `the InfluxDB bucket ${database} was there before and ${kept}, not for ${formatDuration(retentionSeconds * 1000)}; change it with influx bucket update if that is not meant`,
    );
  }
  return bucket;
}

/** In shards of an hour: only a whole shard is ever deleted, and by default they are a day. */
async function makeBucket(target: Target): Promise<Bucket> {
  const { connection, database, retentionSeconds } = target;
  const orgID = await organisationOf(target);
  const rule = { type: 'expire', everySeconds: retentionSeconds, shardGroupDurationSeconds: 3600 };
  try {
    const made = await connection.request(
      '/api/v2/buckets',
      { orgID, name: database, retentionRules: [rule] },
      { method: 'POST' },
    );
    return { ...(made as Bucket), orgID };
  } catch (error) {
    if (isAway(error)) throw error;
    throw new MonitorError(
      'unavailable',
      `InfluxDB lets no bucket ${database} be made; make it, or give the token write on buckets (${messageOf(error)})`,
    );
  }
}

/** A token that may not read organisations may still see a bucket of its own. */
async function organisationOf(target: Target): Promise<string> {
  const { org, database } = target;
  const refused = (error: unknown) => {
    if (statusOf(error) === 401 && target.isUser) throw error;
    return isRefusal(error) ? {} : noneWhenMissing(error);
  };
  const { orgs = [] } = await get<{ orgs?: { id: string; name: string }[] }>(target, '/api/v2/orgs').catch(refused);
  const fitting = org === undefined ? orgs : orgs.filter(({ name }) => name === org);
  const [first, second] = fitting;
  if (second !== undefined)
    throw new MonitorError(
      'unavailable',
      `InfluxDB has no bucket ${database}, and the token sees several organisations (${fitting.map(({ name }) => name).join(', ')}); name the one to make it in with AMBERWATCH_INFLUX_ORG`,
    );
  if (first !== undefined) return first.id;
  if (org !== undefined && orgs.length > 0)
    throw new MonitorError(
      'unavailable',
      `InfluxDB knows no organisation ${org}; set AMBERWATCH_INFLUX_ORG to one of: ${orgs.map(({ name }) => name).join(', ')}`,
    );
  const { buckets = [] } = await get<{ buckets?: Bucket[] }>(target, '/api/v2/buckets?limit=1').catch(refused);
  if (buckets[0] !== undefined) return buckets[0].orgID;
  throw new MonitorError(
    'unavailable',
    `the InfluxDB token sees neither a bucket ${database} nor an organisation to make it in; it needs read and write on that bucket, or else read on organisations and write on buckets`,
  );
}

interface Mapping {
  bucketID: string;
  virtual?: boolean;
}

/** What `/write` and `/query` take for the database. Before 2.4 nothing maps it by itself. */
async function checkMapping(target: Target, bucket: Bucket): Promise<void> {
  const { connection, version, database, warn } = target;
  const { orgID, id: bucketID } = bucket;
  const query = new URLSearchParams({ orgID, db: database });
  const { content = [] } = await get<{ content?: Mapping[] }>(target, `/api/v2/dbrps?${query}`).catch(
    (error: unknown) => (isRefusal(error) ? {} : noneWhenMissing(error)),
  );
  const other = content.find((mapping) => mapping.bucketID !== bucketID && mapping.virtual !== true);
  if (other !== undefined)
    warn(
      `InfluxDB maps the database ${database} to another bucket (${other.bucketID}) than the one of that name: what is reported goes there`,
    );
  if (content.length > 0 || version.minor >= 4) return;
  const body = { orgID, bucketID, database, retention_policy: 'autogen', default: true };
  await connection.request('/api/v2/dbrps', body, { method: 'POST' });
}

function isRefusal(error: unknown): boolean {
  return [401, 403].includes(statusOf(error) ?? 0);
}

function noneWhenMissing(error: unknown): Record<string, never> {
  if (statusOf(error) === 404) return {};
  throw error;
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
