import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { Appended } from '../../src/core/store.ts';
import { openStore } from '../../src/store/open.ts';
import type { InfluxCredentials } from '../../src/store/open-options.ts';
import { makeSnapshot, noon } from '../make-snapshot.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { type Answers, type Asked, startFakeInfluxdb } from './fake-influxdb.ts';

const twoDays = 2 * 86_400;
const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function open(version: string, answers: Answers = () => undefined, influx: InfluxCredentials = { token: 't' }) {
  const fake = await startFakeInfluxdb(version, answers);
  closing.push(fake.close);
  const warnings: string[] = [];
  const opening = openStore(fake.url, {
    retentionMs: twoDays * 1000,
    warn: (message) => warnings.push(message),
    influx,
  });
  opening.catch(() => undefined);
  const posted = (path: string) => fake.asked.filter((asked) => asked.method === 'POST' && asked.path === path);
  return { ...fake, opening, warnings, posted };
}

const bucket = (given: object = {}) => ({
  id: 'b1',
  orgID: 'o1',
  name: 'monitoring',
  retentionRules: [{ type: 'expire', everySeconds: twoDays }],
  ...given,
});

/** An API of 2.x: what it lists, by path. A function may refuse. */
function version2(given: { buckets?: object[]; orgs?: object[]; dbrps?: object[]; other?: Answers } = {}): Answers {
  const { buckets = [bucket()], orgs = [{ id: 'o1', name: 'ours' }], dbrps = [], other = () => undefined } = given;
  return (asked) => {
    const refused = other(asked);
    if (refused) return refused;
    const { method, path, body } = asked;
    if (path.startsWith('/api/v2/buckets')) {
      if (method === 'POST') return [201, { ...JSON.parse(body), id: 'made' }];
      const query = new URLSearchParams(path.split('?')[1]);
      const name = query.get('name');
      return [
        200,
        { buckets: name === null ? buckets : buckets.filter((each) => (each as { name: string }).name === name) },
      ];
    }
    if (path.startsWith('/api/v2/orgs')) return [200, { orgs }];
    if (path.startsWith('/api/v2/dbrps'))
      return method === 'POST' ? [201, JSON.parse(body)] : [200, { content: dbrps }];
    return undefined;
  };
}

const unauthorized = (): [number, object] => [401, { code: 'unauthorized', message: 'unauthorized access' }];

describe('what is older than InfluxDB keeps', () => {
  const old = 'process,host=old,process=p cpu=1 1';
  const bounds = `oldest point ${old} at 2026-11-01T00:00:00Z dropped because it violates a Retention Policy Lower Bound at 2026-11-18T12:00:00Z, newest point ${old} at 2026-11-01T00:00:00Z dropped because it violates a Retention Policy Lower Bound at 2026-11-18T12:00:00Z`;
  const words = `partial write: dropped 2 points outside retention policy of duration 48h0m0s - ${bounds}`;
  /** Refuses whatever holds a point of the host `old`, and stores the rest. */
  const refusing =
    (status: number, body: object, more: Answers = () => undefined): Answers =>
    (asked) =>
      asked.path.startsWith('/write') && asked.body.includes('host=old') ? [status, body] : more(asked);

  test.each<[string, string, number, object, Answers]>([
    ['1.8.10', '1.8.10', 400, { error: 'partial write: points beyond retention policy dropped=2' }, () => undefined],
    ['1.12.4', '1.12.4', 400, { error: words }, () => undefined],
    [
      '2.3.0',
      'v2.3.0',
      422,
      {
        code: 'unprocessable entity',
        message: 'failure writing points to database: partial write: points beyond retention policy dropped=2',
      },
      version2(),
    ],
    [
      '2.7.12',
      'v2.7.12',
      422,
      {
        code: 'unprocessable entity',
        message: `failure writing points to database: ${words} dropped=2 for database: 9f282d63c7d3a5c0 for retention policy: autogen`,
      },
      version2(),
    ],
  ])('%s: is counted as not stored, and the others are', async (_, version, status, body, more) => {
    const { opening, posted } = await open(version, refusing(status, body, more));
    const store = await opening;
    const snapshots = ['a', 'b', 'c'].map((host) => makeSnapshot({ host, time: noon }));
    const hostsOf = ({ refused }: Appended) => refused.map((each) => ('host' in each ? each.host : ''));
    const old = makeSnapshot({ host: 'old', time: noon - 1000 });
    expect(hostsOf(await store.append({ snapshots: [...snapshots, old] }))).toEqual(['old']);
    // Two points are the oldest snapshot, and it alone: there is nothing to find out.
    const writes = () => posted('/write?db=monitoring&precision=ms').length;
    expect(writes()).toBe(1);
    // Here they are not: together, and then each alone.
    const larger = makeSnapshot({ host: 'old', time: noon - 1000, processes: [{ name: 'a' }, { name: 'b' }] });
    expect(hostsOf(await store.append({ snapshots: [...snapshots, larger] }))).toEqual(['old']);
    expect(writes()).toBe(1 + 1 + 4);
    await store.close();
  });

  test.each([
    ['a write window', 400, `partial write: dropped 2 points outside write window of duration 1h0m0s - ${bounds}`],
    ['both', 400, `${words}, dropped 1 points outside write window of duration 1h0m0s`],
    [
      'a conflict',
      400,
      'partial write: field type conflict: input field "x" is type float, already exists as type integer dropped=1',
    ],
    [
      'a name that holds the words',
      400,
      `unable to parse 'process,host=points\\ beyond\\ retention\\ policy': invalid`,
    ],
    ['other words after them', 500, 'engine: partial write: points beyond retention policy dropped=2'],
  ])('%s is something else', async (_, status, error) => {
    const { opening } = await open('1.12.4', refusing(status, { error }));
    const store = await opening;
    await expect(store.append({ snapshots: [makeSnapshot({ host: 'old' })] })).rejects.toThrow(/InfluxDB answered/);
    await store.close();
  });
});

describe('2.x', () => {
  test('a bucket is made with shards of an hour, so that two days are two days', async () => {
    const { opening, posted } = await open('v2.7.12', version2({ buckets: [] }));
    await (await opening).close();
    expect(JSON.parse(posted('/api/v2/buckets')[0]?.body ?? '')).toEqual({
      orgID: 'o1',
      name: 'monitoring',
      retentionRules: [{ type: 'expire', everySeconds: twoDays, shardGroupDurationSeconds: 3600 }],
    });
  });

  test.each([
    ['v2.0.9', 1],
    ['2.3.0', 1],
    ['v2.4.0', 0],
    ['v2.9.1', 0],
  ])('%s: the mapping of the database is made %i times', async (version, times) => {
    const { opening, posted } = await open(version, version2());
    await (await opening).close();
    const made = posted('/api/v2/dbrps').map(({ body }) => JSON.parse(body));
    const mapping = { orgID: 'o1', bucketID: 'b1', database: 'monitoring', retention_policy: 'autogen', default: true };
    expect(made).toEqual(Array(times).fill(mapping));
  });

  test('a mapping to another bucket is said; the virtual one and our own are not', async () => {
    const other = { bucketID: 'b9', database: 'monitoring', virtual: false };
    const { opening, warnings } = await open('v2.7.12', version2({ dbrps: [other] }));
    await (await opening).close();
    expect(warnings).toEqual([
      'InfluxDB maps the database monitoring to another bucket (b9) than the one of that name: what is reported goes there',
    ]);
    const fine = [{ bucketID: 'b1' }, { bucketID: 'b8', virtual: true }];
    const second = await open('v2.7.12', version2({ dbrps: fine }));
    await (await second.opening).close();
    expect(second.warnings).toEqual([]);
  });

  test('several organisations: the bucket of the one that is named, and a sentence where none is', async () => {
    const orgs = ['ours', 'theirs'].map((name) => ({ id: name, name }));
    const named = await open('v2.7.12', version2({ orgs, buckets: [] }), { token: 't', org: 'theirs' });
    await (await named.opening).close();
    expect(named.asked.find(({ path }) => path.startsWith('/api/v2/buckets?'))?.path).toContain('org=theirs');
    expect(JSON.parse(named.posted('/api/v2/buckets')[0]?.body ?? '').orgID).toBe('theirs');
    await expect((await open('v2.7.12', version2({ orgs, buckets: [] }))).opening).rejects.toThrow(
      /^InfluxDB has no bucket monitoring, and the token sees several organisations \(ours, theirs\); name .* AMBERWATCH_INFLUX_ORG$/,
    );
    const twice = [bucket(), bucket({ id: 'b2', orgID: 'o2' })];
    await expect((await open('v2.7.12', version2({ buckets: twice }))).opening).rejects.toThrow(
      /several organisations of InfluxDB have a bucket monitoring; name the token's own with AMBERWATCH_INFLUX_ORG/,
    );
    await expect(
      (await open('v2.7.12', version2({ orgs, buckets: [] }), { token: 't', org: 'nobody' })).opening,
    ).rejects.toThrow(/knows no organisation nobody; set AMBERWATCH_INFLUX_ORG to one of: ours, theirs/);
  });

  test('a bucket of another organisation than the token is refused at the start', async () => {
    const other: Answers = ({ path }) =>
      path.startsWith('/query') ? [200, { results: [{ error: 'database not found: monitoring' }] }] : undefined;
    await expect((await open('v2.7.12', version2({ other }))).opening).rejects.toThrow(
      /does not let the database monitoring be asked: the bucket is not in the organisation of the token/,
    );
  });

  test('narrow tokens: the organisation of a bucket that is listed, or what is missing', async () => {
    const noOrgs: Answers = ({ path }) => (path.startsWith('/api/v2/orgs') ? unauthorized() : undefined);
    const beside = bucket({ name: 'other', orgID: 'o7' });
    const made = await open('v2.7.12', version2({ buckets: [beside], other: noOrgs }));
    await (await made.opening).close();
    expect(JSON.parse(made.posted('/api/v2/buckets')[0]?.body ?? '').orgID).toBe('o7');
    // It may write one bucket and sees none.
    await expect((await open('v2.7.12', version2({ buckets: [], orgs: [] }))).opening).rejects.toThrow(
      /^the InfluxDB token sees neither a bucket monitoring nor an organisation to make it in; it needs read and write on that bucket, or else/,
    );
    const noMaking: Answers = ({ method, path }) =>
      method === 'POST' && path === '/api/v2/buckets' ? unauthorized() : undefined;
    await expect((await open('v2.7.12', version2({ buckets: [], other: noMaking }))).opening).rejects.toThrow(
      /^InfluxDB lets no bucket monitoring be made; make it, or give the token write on buckets/,
    );
  });

  test('user and password of the older API: no set-up, only asked', async () => {
    const noApi: Answers = ({ path }) => (path.startsWith('/api/') ? unauthorized() : undefined);
    const { opening, asked } = await open('v2.7.12', version2({ other: noApi }), { username: 'u', password: 'p' });
    const store = await opening;
    expect(asked.map(({ path }) => path.split('?')[0])).toEqual(['/ping', '/api/v2/buckets', '/query']);
    expect(asked[0]?.headers.authorization).toMatch(/^Basic /);
    await store.close();
    await expect((await open('v2.7.12', version2({ other: noApi }))).opening).rejects.toThrow(
      /refuses the credentials/,
    );
  });

  test('no dbrp mapping, found later: unavailable, and no fault of whoever sends', async () => {
    let isGone = false;
    const other: Answers = ({ path }) => {
      if (!isGone) return undefined;
      const message = 'no dbrp mapping found';
      return path.startsWith('/write')
        ? [404, { code: 'not found', message }]
        : [200, { results: [{ error: message }] }];
    };
    const store = await (await open('v2.3.0', version2({ other }))).opening;
    isGone = true;
    await expect(store.append({ snapshots: [makeSnapshot()] })).rejects.toMatchObject({ code: 'unavailable' });
    await expect(store.means({ from: 0, to: noon })).rejects.toMatchObject({ code: 'unavailable' });
    await store.close();
  });
});

describe('readiness asks as a write would', () => {
  const turnsTo = (answer: (asked: Asked) => [number, object] | undefined) => {
    const state = { isOff: false };
    const answers: Answers = (asked) => (state.isOff ? answer(asked) : undefined);
    return { state, answers };
  };
  test.each<[string, (asked: Asked) => [number, object] | undefined]>([
    [
      'the database was dropped',
      ({ path }) =>
        path.startsWith('/write')
          ? [404, { error: 'database not found: "monitoring"' }]
          : path.startsWith('/query')
            ? [200, { results: [{ statement_id: 0, error: 'database not found: monitoring' }] }]
            : undefined,
    ],
    ['the token was revoked', ({ path }) => (path.startsWith('/ping') ? undefined : unauthorized())],
    [
      'the token may only read',
      ({ path }) =>
        path.startsWith('/write')
          ? [403, { code: 'forbidden', message: 'insufficient permissions for write' }]
          : undefined,
    ],
    [
      'the token may only write',
      ({ path }) =>
        path.startsWith('/query') ? [403, { code: 'forbidden', message: 'not authorized to query' }] : undefined,
    ],
  ])('%s', async (_, answer) => {
    const { state, answers } = turnsTo(answer);
    const { opening } = await open('1.8.10', answers);
    const store = await opening;
    await store.ping();
    state.isOff = true;
    await expect(store.ping()).rejects.toMatchObject({ code: 'unavailable' });
    state.isOff = false;
    await store.ping();
    await store.close();
  });
});

test('influxdbs:// trusts the authority that is given, and no other', async () => {
  const folder = temporaryFolder();
  const file = (name: string) => join(folder, name);
  const make = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=influx -addext subjectAltName=IP:127.0.0.1 -keyout ${file('key')} -out ${file('cert')}`;
  execFileSync('openssl', make.split(' '), { stdio: 'pipe' });
  const [cert, key] = [readFileSync(file('cert'), 'utf8'), readFileSync(file('key'), 'utf8')];
  const fake = await startFakeInfluxdb('1.8.10', () => undefined, { cert, key });
  closing.push(fake.close);
  const openWith = async (influx: InfluxCredentials) => {
    const warnings: string[] = [];
    const warn = (message: string) => warnings.push(message);
    await (await openStore(fake.url, { retentionMs: twoDays * 1000, warn, influx })).close();
    return warnings;
  };
  expect(await openWith({ ca: cert })).toEqual([]);
  expect(await openWith({})).toEqual([
    expect.stringMatching(
      /^InfluxDB at https:\S+ does not answer: its certificate is self-signed or .* with --store-ca/,
    ),
  ]);
});

test('1.x: an existing database without a retention keeps for ever, and that is said', async () => {
  const { opening, warnings } = await open('1.8.10', ({ path, body }) => {
    if (!path.startsWith('/query')) return undefined;
    const q = new URLSearchParams(body).get('q') ?? '';
    const values = (columns: string[], ...rows: unknown[][]): [number, object] => [
      200,
      { results: [{ series: [{ columns, values: rows }] }] },
    ];
    if (q.startsWith('SHOW DATABASES')) return values(['name'], ['monitoring']);
    if (q.startsWith('SHOW RETENTION')) return values(['name', 'duration', 'default'], ['autogen', '0s', true]);
    return undefined;
  });
  await (await opening).close();
  expect(warnings).toEqual([
    'the InfluxDB database monitoring was there before and keeps data for ever, not for 2d; change it with ALTER RETENTION POLICY if that is not meant',
  ]);
});

test('a read that is cancelled closes its request, so that InfluxDB stops working on it', async () => {
  let closed = 0;
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/ping')) {
      response.writeHead(204, { 'x-influxdb-version': '1.8.10' }).end();
      return;
    }
    let text = '';
    request.on('data', (chunk) => {
      text += chunk;
    });
    request.on('end', () => {
      if (text.includes('MEAN')) response.on('close', () => closed++);
      else response.writeHead(200, { 'content-type': 'application/json' }).end('{"results":[{},{}]}');
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(async () => void server.close());
  const { port } = server.address() as AddressInfo;
  const store = await openStore(`influxdb://127.0.0.1:${port}/m`, {
    retentionMs: twoDays * 1000,
    warn: () => undefined,
  });
  const cancelled = new AbortController();
  const reading = store.means({ from: 0, to: noon }, { signal: cancelled.signal });
  reading.catch(() => undefined);
  setTimeout(() => cancelled.abort(new Error('too long')), 100);
  await expect(reading).rejects.toThrow('too long');
  await expect.poll(() => closed).toBe(1);
});
