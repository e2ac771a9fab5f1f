/**
 * Sends remote write to whatever takes it, as a Prometheus with several shards does. Argument: JSON with url, series,
 * scrapes, perBody, connections. Prints a line when its bodies are made; after a line on stdin it sends them and prints
 * the samples that were taken, in how many seconds, and the milliseconds of an answer.
 */
import { Agent, request } from 'undici';
import { packedWriteRequest, remoteWriteHeaders, sent } from '../test/write-request.ts';
import { percentile } from './report.ts';

interface Load {
  url: string;
  series: number;
  scrapes: number;
  perBody: number;
  connections: number;
}

const { url, series, scrapes, perBody, connections } = JSON.parse(process.argv[2] as string) as Load;
const everyMs = 15_000;
const from = Date.now() - scrapes * everyMs;

/** Of one scrape, in the order of the series. */
function bodiesOf(scrape: number): Buffer[] {
  const bodies: Buffer[] = [];
  for (let at = 0; at < series; at += perBody) {
    const part = Array.from({ length: Math.min(perBody, series - at) }, (_, k) => {
      const n = at + k;
      const labels = {
        instance: `web-${String(Math.floor(n / 500)).padStart(3, '0')}.example.com:9100`,
        job: 'node',
        cluster: 'production-eu-west-1',
        device: `nvme${n % 10}n1`,
        mountpoint: `/var/lib/data/${n % 500}`,
        fstype: 'ext4',
      };
      const value = Math.round(1e6 * (1 + Math.sin(n + scrape / 10))) / 1000;
      return sent(`node_filesystem_figure_${n % 50}`, labels, [[value, from + scrape * everyMs]]);
    });
    bodies.push(packedWriteRequest(part));
  }
  return bodies;
}

const all = Array.from({ length: scrapes }, (_, scrape) => bodiesOf(scrape));
process.stdout.write('ready\n');
process.stdin.once('data', async () => {
  const agent = new Agent({ connections, pipelining: 1 });
  const tookMs: number[] = [];
  let taken = 0;
  const begin = performance.now();
  for (const bodies of all) {
    // Scrape after scrape, as they come: of one each connection sends a part.
    const queue = [...bodies];
    const send = async () => {
      for (let body = queue.shift(); body !== undefined; body = queue.shift()) {
        const at = performance.now();
        const answer = await request(url, { method: 'POST', headers: remoteWriteHeaders, body, dispatcher: agent });
        await answer.body.dump();
        if (answer.statusCode !== 204) throw new Error(`${url} answered ${answer.statusCode}`);
        tookMs.push(performance.now() - at);
        taken += perBody;
      }
    };
    await Promise.all(Array.from({ length: connections }, send));
  }
  const seconds = (performance.now() - begin) / 1000;
  process.stdout.write(
    `${JSON.stringify({ taken, seconds, p50Ms: percentile(tookMs, 0.5), p99Ms: percentile(tookMs, 0.99) })}\n`,
    () => process.exit(),
  );
});
