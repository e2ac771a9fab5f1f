/**
 * Live snapshots of many hosts, from a process of its own: what else the test does must not be measured.
 * Arguments: the server, hosts, processes, and how often each host reports (10,000 ms), spread evenly. A line on stdin ends it;
 * it prints the milliseconds each PUT took, -1 for one that failed, as JSON.
 */
import { MonitorClient } from '../src/client.ts';
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
process.stdin.once('data', async () => {
  clearInterval(timer);
  await Promise.all(under);
  process.stdout.write(`${JSON.stringify(tookMs)}\n`, () => process.exit());
});
