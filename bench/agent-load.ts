/**
 * The same seven figures over and over, each connection with a client of its own: as messages of a plain agent, each
 * after the reply to the one before (`asked`) or without waiting (`streamed`), or as PUTs of as many samples.
 *
 * Argument: AgentLoadOptions as JSON. It says `ready`, waits for a line on stdin, and ends by itself.
 * Prints JSON {messages, seconds, p50Ms, p99Ms}: messages that were acknowledged as stored.
 */
import { connect, type Socket } from 'node:net';
import { percentile } from './report.ts';

interface AgentLoadOptions {
  port: number;
  how: 'asked' | 'streamed' | 'http';
  connections: number;
  seconds: number;
}

const { port, how, connections, seconds } = JSON.parse(process.argv[2] as string) as AgentLoadOptions;
const reply = 'ok\n'.length;
/** Of those that do not wait: as much as a socket takes at once. */
const burst = 200;

function figures(sent: number) {
  return {
    cpu: (sent % 1000) / 10,
    ram: 63.6,
    disk: 60.8,
    ram_total: 16558358528,
    ram_available: 6022291456 - sent,
    ram_used: 36.37,
    client_no: 63552,
  };
}

function putOf(client: number, sent: number): string {
  const samples = Object.entries(figures(sent)).map(([name, value]) => ({
    name,
    labels: { client: String(client) },
    value,
  }));
  const body = JSON.stringify(samples);
  return `PUT /v1/metrics HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
}

process.stdout.write('ready\n');
await new Promise((resolve) => process.stdin.once('data', resolve));
const latencies: number[] = [];
const begin = performance.now();
const end = begin + seconds * 1000;
let messages = 0;
await Promise.all(Array.from({ length: connections }, (_, client) => run(client)));
const took = (performance.now() - begin) / 1000;
process.stdout.write(
  `${JSON.stringify({ messages, seconds: took, p50Ms: percentile(latencies, 0.5), p99Ms: percentile(latencies, 0.99) })}\n`,
);
process.exit();

function run(client: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    socket.on('error', reject).on('close', () => resolve());
    if (how === 'streamed') stream(socket);
    else ask(socket, client);
  });
}

function ask(socket: Socket, client: number): void {
  let sent = 0;
  let sentAt = 0;
  const next = () => {
    if (performance.now() >= end) return void socket.destroy();
    sentAt = performance.now();
    socket.write(how === 'http' ? putOf(client, sent) : JSON.stringify(figures(sent)));
    sent++;
  };
  socket.on('connect', next).on('data', (answer) => {
    if (how === 'http' && answer.toString('latin1', 9, 12) !== '204') throw new Error(answer.toString());
    latencies.push(performance.now() - sentAt);
    messages++;
    next();
  });
}

/** So many are on their way that neither side waits for the other. */
function stream(socket: Socket): void {
  let sent = 0;
  let acknowledged = 0;
  const fill = () => {
    while (performance.now() < end && sent - acknowledged < 2 * burst) {
      socket.write(Array.from({ length: burst }, () => JSON.stringify(figures(sent++))).join(''));
    }
  };
  socket.on('connect', fill).on('data', (answer) => {
    acknowledged += answer.length / reply;
    messages += answer.length / reply;
    if (performance.now() >= end) socket.destroy();
    else fill();
  });
}
