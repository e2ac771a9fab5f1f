/**
 * Live snapshots of many hosts, from a process of its own: what else the test does must not be measured.
 * Arguments: the server, hosts, processes, and how often each host reports (10,000 ms), spread evenly. After a line on
 * stdin it prints the milliseconds each PUT took since the last, -1 for one that failed, as JSON; after `end` it ends.
 */
import { MonitorClient } from '../src/client/monitor-client.ts';
import { bodyOf, gzipBody } from './made-snapshots.ts';

const [url = '', hosts, processes, everyMs = 10_000] = [
  process.argv[2] ?? '',
  ...process.argv.slice(3).map(Number),
] as [string, number, number, number?];
const client = new MonitorClient(url);
const tookMs: number[] = [];
const under: Promise<void>[] = [];
let next = 0;

async function put(host: string): Promise<void> {
  const body = gzipBody(bodyOf(host, Date.now(), processes));
  const begin = performance.now();
  const { status } = await client.put('/v1/usage', body, Date.now());
  tookMs.push(status === 204 ? performance.now() - begin : -1);
}

const timer = setInterval(() => void under.push(put(`live-${next++ % hosts}`)), everyMs / hosts);
process.stdin.on('data', async (line) => {
  const isEnd = String(line).startsWith('end');
  if (isEnd) clearInterval(timer);
  await Promise.all(under.splice(0));
  process.stdout.write(`${JSON.stringify(tookMs.splice(0))}\n`, () => isEnd && process.exit());
});
