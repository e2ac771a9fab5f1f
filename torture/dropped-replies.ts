import { MonitorClient } from '../src/client/monitor-client.ts';
import { FolderDisk } from '../src/collector/disk.ts';
import { Sender, type SnapshotReceiver } from '../src/collector/sender.ts';
import { Spool, spoolLimits } from '../src/collector/spool.ts';
import { buildServer, realClock } from './in-process-server.ts';
import { bodyOf, gzipBody } from './made-snapshots.ts';
import {
  type Engine,
  engineNames,
  type Scenario,
  scaled,
  startEngine,
  temporaryFolder,
  until,
  type Verdict,
} from './scenario.ts';
import { openQuietly, storedTimes } from './stored-times.ts';

const collectors = 20;

/** Every third reply is lost after the commit: the collector cannot know, and sends again. */
export const droppedReplies: Scenario = {
  name: 'dropped-replies',
  behaviour: 'what is sent again because its answer was lost is stored once',
  async run(scale) {
    const verdicts: Verdict[] = [];
    for (const name of engineNames) verdicts.push(await loseReplies(name, scaled(1000, scale)));
    return verdicts;
  },
};

async function loseReplies(name: Engine['name'], each: number): Promise<Verdict> {
  const engine = await startEngine(name);
  const store = await openQuietly(engine.url);
  const app = await buildServer(store);
  let [replies, lost] = [0, 0];
  app.addHook('onSend', async (request) => {
    if (request.method !== 'PUT' || ++replies % 3 !== 0) return;
    lost++;
    request.raw.socket.destroy();
  });
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  const spools = await Promise.all(Array.from({ length: collectors }, (_, i) => sendAll(url, `host-${i}`, each)));
  let [stored, repeated] = [0, 0];
  for (let i = 0; i < collectors; i++) {
    const found = await storedTimes(store, `host-${i}`, 'process-1');
    stored += found.times.size;
    repeated += found.repeated;
  }
  await app.close();
  await store.close();
  await engine.close();
  const accounts = spools.reduce((sum, spool) => sum + spool.counts.stored, 0);
  const all = collectors * each;
  return {
    promise: `${name}: sent again because the answer was lost is stored once`,
    figure: `${lost} of ${replies} replies lost over ${all} snapshots: ${stored} stored, ${repeated} twice; the collectors count ${accounts}`,
    holds: stored === all && repeated === 0 && accounts === all && lost > 0,
  };
}

async function sendAll(url: string, host: string, count: number): Promise<Spool> {
  const spool = await Spool.open(new FolderDisk(temporaryFolder()), spoolLimits(10_000));
  const from = Date.now() - 3_600_000;
  for (let i = 0; i < count; i++) await spool.put(from + i * 1000, gzipBody(bodyOf(host, from + i * 1000)));
  const log = { info: () => undefined, warn: () => undefined };
  // Waiting is not what is looked at here: a hundredth of it will do.
  const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms / 100));
  const client = inSmallParts(new MonitorClient(url));
  const sender = new Sender({ spool, client, clock: realClock, random: Math.random, log, sleep });
  sender.start();
  await until(() => spool.counts.spooled === 0, 300_000, 'an empty spool');
  await sender.close(1000);
  return spool;
}

/** Arrays of a hundred would be too few replies to lose: larger ones than of some bytes are sent back. */
function inSmallParts(client: MonitorClient): SnapshotReceiver {
  const tooLarge = { status: 413, detail: 'smaller, please', retryAfterMs: null };
  return {
    server: client.server,
    put: async (path, gzip, now, signal) => (gzip.length > 700 ? tooLarge : client.put(path, gzip, now, signal)),
    close: () => client.close(),
  };
}
