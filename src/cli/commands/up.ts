import type { Command } from 'commander';
import { formatDuration } from '../../core/duration.ts';
import { MonitorError } from '../../core/error.ts';
import type { Log, Say } from '../../platform/log.ts';
import { terminalText } from '../../platform/terminal-text.ts';
import { wordWrap } from '../../platform/word-wrap.ts';
import { addCommand, type Flags } from '../add-command.ts';
import { makeOutput } from '../alert-output.ts';
import { type Closable, closeOnSignal } from '../close-on-signal.ts';
import type { Config } from '../config/settings.ts';
import { isLiveTerminal } from '../live-top.ts';
import { makeLog } from '../log.ts';
import { clock } from '../real-clock.ts';
import { columnsOf, complain } from '../terminal.ts';
import { version } from '../version.ts';
import { startAlerter } from '../wiring/alerter.ts';
import { startCollector } from '../wiring/collector.ts';
import { type RunningServer, startServer } from '../wiring/server.ts';

export function addUp(program: Command): void {
  addCommand(program, 'up', 'run server, collector of this host and alerter in one process', up).option(
    '--plain',
    'print a table and then lines, also where the terminal could show all processes live',
  );
}

const firstTableMs = 10_000;
const topRows = 12;
/** Lines of alarms that are printed once the live view is left. */
const mostHeld = 1000;

/** One process for a first look: the same daemons, talking over loopback as they would over a network. */
async function up(config: Config, flags: Flags): Promise<void> {
  /** What is said while the screen shows something else. */
  const held = new HeldLines();
  const say = (message: string) => held.write(wordWrap(message, columnsOf(process.stdout)));
  const plain = plainLog(say);
  if (config.tlsCert ?? config.tlsKey ?? config.tlsClientCa)
    throw new MonitorError('invalid', "'up' talks to itself without TLS; use 'serve', 'collect' and 'alert' with it");
  warnWhenTooShort(config, plain.warn);
  const server = await startServer(
    config,
    clock,
    makeLog(config.logLevel === 'info' ? 'warn' : config.logLevel, () => held.target()),
    version,
  );
  const closing: Closable[] = [server];
  closeOnSignal(closing, { clock, complain, before: () => say('stopping: storing what has been taken') });
  say(`amberwatch ${version}: ${server.announced}, API at ${server.url}/docs, data in ${config.data}`);
  if (server.agents !== null) say(server.agents);
  say(`looking at ${config.host} every ${formatDuration(config.interval)}; Ctrl-C ends it\n`);
  try {
    const since = clock.now();
    closing.unshift(await startCollector(config, server.url, clock, plain, server.own));
    await sayTopTable(config, server, since, say);
    const isLive = flags.plain !== true && isLiveTerminal();
    if (isLive) held.hold();
    const output = makeOutput(false, (line) => held.write(line));
    const alerter = await startAlerter(config, server.url, clock, output, server.own);
    closing.unshift(alerter);
    if (isLive) await showLive(server, held);
  } catch (error) {
    for (const daemon of closing) await daemon.close();
    throw error;
  }
}

/** Lines as they come, or, while they are held, the newest of them later. */
class HeldLines {
  #held: string[] | null = null;

  write(line: string): void {
    if (this.#held === null) process.stdout.write(`${line}\n`);
    else this.#held.push(line);
    if ((this.#held?.length ?? 0) > 2 * mostHeld) this.#held?.splice(0, mostHeld);
  }

  /** Of a log: on stderr, or held like all else. */
  target(): { write(text: string): void; columns: number | null } {
    const write = (text: string) =>
      this.#held === null ? void process.stderr.write(text) : this.write(text.trimEnd());
    return { write, columns: columnsOf(process.stderr) };
  }

  hold(): void {
    this.#held ??= [];
  }

  release(): void {
    const lines = this.#held?.slice(-mostHeld) ?? [];
    this.#held = null;
    for (const line of lines) this.write(line);
  }
}

/** All processes until somebody leaves; then what was said meanwhile, and the end. */
async function showLive({ url, own }: RunningServer, held: HeldLines): Promise<void> {
  const [{ LiveTop, Looker }, { MonitorClient }] = await Promise.all([
    import('../live-top.ts'),
    import('../../client/monitor-client.ts'),
  ]);
  const client = new MonitorClient(url, own);
  try {
    await new LiveTop(new Looker(client, url, undefined), client).run();
  } finally {
    held.release();
    await client.close();
  }
  process.kill(process.pid, 'SIGINT');
}

/** What a daemon says, as it comes. */
function plainLog(say: (message: string) => void): Log {
  const plain: Say = (...said: unknown[]) => say(terminalText(String(said.at(-1)), 500));
  return { info: plain, warn: plain, error: plain };
}

async function sayTopTable(
  config: Config,
  { url, own }: RunningServer,
  since: number,
  say: (text: string) => void,
): Promise<void> {
  const [{ topTable }, { MonitorClient }] = await Promise.all([
    import('../../report/top-table.ts'),
    import('../../client/monitor-client.ts'),
  ]);
  const client = new MonitorClient(url, own);
  const deadline = clock.monotonic() + firstTableMs;
  while (clock.monotonic() < deadline) {
    const table = await topTable(client, config.host, since, topRows);
    if (table !== null) {
      say(`${table}\n`);
      break;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await client.close();
}

function warnWhenTooShort({ horizon, interval }: Config, warn: (message: string) => void): void {
  if (horizon >= 10 * interval) return;
  warn(
    `AMBER is unreliable: a tenth of the horizon (${formatDuration(horizon)}) does not hold a snapshot every ${formatDuration(interval)}; use --horizon ${formatDuration(10 * interval)} or longer`,
  );
}
