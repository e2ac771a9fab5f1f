/**
 * A load generator that costs next to nothing: raw keep-alive sockets, bodies made beforehand, one
 * request per socket under way. Run as a process of its own so that it cannot slow down what it measures.
 *
 * Argument: LoadOptions as JSON. It says `ready`, waits for a line on stdin, and ends by itself.
 * Prints JSON {requests, seconds, errors, p50Ms, p99Ms}.
 */
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { percentile } from './report.ts';
import { importLines, lineProtocol, snapshotBody } from './synthetic.ts';

interface LoadOptions {
  port: number;
  connections: number;
  hosts: number;
  processes: number;
  seconds: number;
  /** `import`: VictoriaMetrics' own lines of JSON, gzip. */
  format: 'json' | 'gzip' | 'lines' | 'import';
  path: string;
  /** Snapshots of one request. */
  batch: number;
  /** Requests a second over all connections; absent: as many as there is an answer to. */
  perSecond?: number;
  /** Time of the first snapshots, epoch milliseconds; default: half an hour ago. */
  startMs?: number;
  /** Each is taken when it is sent. */
  isLive?: boolean;
}

const options = JSON.parse(process.argv[2] as string) as LoadOptions;
/** Bodies of one connection; for snapshots the time in them is renewed at every use. */
const variants = { lines: 150, import: 30, json: 8, gzip: 8 }[options.format];
const isLines = options.format === 'lines' || options.format === 'import';
const start = options.startMs ?? Date.now() - 30 * 60_000;
/** Milliseconds between two requests of one connection. */
const paceMs = options.perSecond === undefined ? 0 : (options.connections / options.perSecond) * 1000;

interface Prepared {
  /** What stands before the time of the snapshot, and after it. */
  before: string;
  after: Buffer;
}

function prepare(connection: number, variant: number): Prepared {
  const host = connection % options.hosts;
  if (isLines) {
    // Each connection has its own instants: two connections may share a host.
    const time = (part: number) => start + (variant * options.batch + part) * 1000 + connection;
    const made = options.format === 'import' ? importLines : lineProtocol;
    const parts = Array.from({ length: options.batch }, (_, part) => made(host, time(part), options.processes));
    const after = Buffer.from(parts.join('\n'));
    return { before: '', after: options.format === 'import' ? gzipSync(after, { level: 1 }) : after };
  }
  const text = JSON.stringify(snapshotBody(host, start + variant * 1000, options.processes));
  const at = text.indexOf('"time":"') + '"time":"'.length;
  const after = Buffer.from(text.slice(at + isoLength));
  return { before: text.slice(0, at), after: options.format === 'gzip' ? gzipSync(after) : after };
}

const isoLength = '2026-11-20T12:00:00.000Z'.length;
const method = isLines ? 'POST' : 'PUT';
const encoding = options.format === 'gzip' || options.format === 'import' ? 'content-encoding: gzip\r\n' : '';

function requestOf(prepared: Prepared, connection: number, sequence: number): Buffer {
  const body = isLines ? [prepared.after] : snapshotsOf(prepared, connection, sequence);
  const bytes = body.reduce((sum, { length }) => sum + length, 0);
  const head = `${method} ${options.path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n${encoding}content-length: ${bytes}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), ...body]);
}

/** gzip allows members one after the other: short ones hold the times, the rest is ready. */
function snapshotsOf(prepared: Prepared, connection: number, sequence: number): Buffer[] {
  const encoded = (text: string) => (options.format === 'gzip' ? gzipSync(text, { level: 1 }) : Buffer.from(text));
  const one = (part: number, before: string) => {
    const taken = options.isLive ? Date.now() : start + (sequence * options.batch + part) * 1000 + connection;
    return [encoded(before + prepared.before + new Date(taken).toISOString()), prepared.after];
  };
  if (options.batch === 1) return one(0, '');
  const all = Array.from({ length: options.batch }, (_, part) => one(part, part === 0 ? '[' : ','));
  return [...all.flat(), encoded(']')];
}

const prepared = Array.from({ length: options.connections }, (_, connection) =>
  Array.from({ length: variants }, (_, variant) => prepare(connection, variant)),
);
process.stdout.write('ready\n');
await new Promise((resolve) => process.stdin.once('data', resolve));

const latencies: number[] = [];
let errors = 0;
const begin = performance.now();
const end = begin + options.seconds * 1000;

await Promise.all(prepared.map((own, index) => run(own, index)));
const seconds = (performance.now() - begin) / 1000;
process.stdout.write(
  `${JSON.stringify({ requests: latencies.length, seconds, errors, p50Ms: percentile(latencies, 0.5), p99Ms: percentile(latencies, 0.99) })}\n`,
);
process.exit();

function run(own: readonly Prepared[], connection: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(options.port, '127.0.0.1');
    socket.setNoDelay(true);
    let sent = 0;
    let sentAt = 0;
    const next = () => {
      if (performance.now() >= end || (isLines && sent >= own.length)) {
        socket.destroy();
        resolve();
        return;
      }
      const request = requestOf(own[sent % own.length] as Prepared, connection, sent);
      sent++;
      sentAt = performance.now();
      socket.write(request);
    };
    // Those that keep a pace do not all begin at once.
    socket.on('connect', () => setTimeout(next, (connection / options.connections) * paceMs));
    socket.on('error', reject);
    socket.on('data', (answer) => {
      latencies.push(performance.now() - sentAt);
      if (answer.toString('latin1', 9, 12) !== '204') errors++;
      const due = begin + (sent + connection / options.connections) * paceMs;
      if (paceMs === 0) next();
      else setTimeout(next, due - performance.now());
    });
  });
}
