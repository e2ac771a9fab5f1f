import { setTimeout as sleep } from 'node:timers/promises';
import { emptyBook, issueToken, revokeToken, rotateToken } from '../src/access/token.ts';
import { TokenFile } from '../src/access/token-file.ts';
import { MonitorClient } from '../src/client/monitor-client.ts';
import { openAccess } from '../test/open-access.ts';
import { tableRows } from '../test/table-rows.ts';
import { buildServer } from './in-process-server.ts';
import { bodyOf, gzipBody } from './made-snapshots.ts';
import { seededRandom } from './random.ts';
import {
  type Engine,
  engineNames,
  type Scenario,
  scaled,
  startEngine,
  temporaryFolder,
  type Verdict,
} from './scenario.ts';
import { ServerProcess } from './server-process.ts';
import { openQuietly } from './stored-times.ts';

export const tokens: Scenario = {
  name: 'tokens',
  behaviour: 'a token writes for its own host alone',
  async run(scale) {
    const verdicts: Verdict[] = [];
    for (const name of engineNames) verdicts.push(await crossWrites(name, scaled(5000, scale)));
    return [...verdicts, await rotation(Math.max(5, 20 * scale))];
  },
};

/** Every token writes for a host at random, half of the time its own. */
async function crossWrites(name: Engine['name'], pairs: number): Promise<Verdict> {
  const random = seededRandom(3);
  const hosts = Array.from({ length: 100 }, (_, i) => `host-${i}`);
  const issued = hosts.map((host) => ({ host, ...issueToken(emptyBook(), 'write', host, Date.now(), null) }));
  const book = { tokens: issued.flatMap(({ book: each }) => each.tokens), invites: [] };
  const engine = await startEngine(name);
  const store = await openQuietly(engine.url);
  const app = await buildServer(store, openAccess(book));
  const expected = new Set<string>();
  let [crossed, refusedOwn] = [0, 0];
  const from = Date.now() - 3_600_000;
  const put = async (i: number) => {
    const own = issued[Math.floor(random() * hosts.length)] as (typeof issued)[number];
    const host = random() < 0.5 ? own.host : (hosts[Math.floor(random() * hosts.length)] as string);
    const payload = bodyOf(host, from + i * 100, 1);
    const headers = { authorization: `Bearer ${own.secret}` };
    const { statusCode } = await app.inject({ method: 'PUT', url: '/v1/usage', payload, headers });
    if (host === own.host && statusCode !== 204) refusedOwn++;
    if (host !== own.host && statusCode !== 403) crossed++;
    if (host === own.host) expected.add(`${host} ${from + i * 100}`);
  };
  for (let i = 0; i < pairs; i += 50)
    await Promise.all(Array.from({ length: Math.min(50, pairs - i) }, (_, k) => put(i + k)));
  const rows = tableRows(await store.page({ from: 0, to: Date.now(), limit: 1_000_000, skip: 0 }));
  crossed += rows.filter((row) => !expected.has(`${row.host} ${row.time}`)).length;
  await app.close();
  await store.close();
  await engine.close();
  return {
    promise: `${name}: a token writes for its own host and no other`,
    figure: `${pairs} pairs of token and host: ${crossed} cross-writes, ${refusedOwn} of ${expected.size} own ones refused, ${rows.length} stored`,
    holds: crossed === 0 && refusedOwn === 0 && rows.length === expected.size,
  };
}

/** A collector changes its token again and again while it sends. */
async function rotation(seconds: number): Promise<Verdict> {
  const data = temporaryFolder();
  const file = new TokenFile(data);
  let secret = await file.issue((book) => issueToken(book, 'write', 'rotating', Date.now(), null));
  const server = await ServerProcess.start('memory:', data);
  let [sent, failed, rotations] = [0, 0, 0];
  const until = performance.now() + seconds * 1000;
  const sending = (async () => {
    for (let time = Date.now() - 60_000; performance.now() < until; time++, sent++) {
      const client = new MonitorClient(server.url, { token: secret });
      if ((await client.put('/v1/usage', gzipBody(bodyOf('rotating', time)), Date.now())).status !== 204) failed++;
      await client.close();
    }
  })();
  while (performance.now() < until) {
    const id = secret.slice(5, 13);
    const next = await file.issue((book) => rotateToken(book, id, Date.now(), 60_000));
    // The server looks at its file twice a second; until then only the old one is valid.
    await sleep(700);
    secret = next;
    await sleep(100);
    await file.change((book) => revokeToken(book, id, Date.now()));
    rotations++;
  }
  await sending;
  await server.stop('SIGTERM');
  return {
    promise: 'a token is rotated and the old one revoked without a PUT that fails',
    figure: `${rotations} rotations under ${sent} PUTs: ${failed} failed`,
    holds: failed === 0 && rotations > 2 && sent > 100,
  };
}
