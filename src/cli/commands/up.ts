import type { Command } from 'commander';
import { formatDuration } from '../../core/duration.ts';
import { MonitorError } from '../../core/error.ts';
import type { Log, Say } from '../../platform/log.ts';
import { terminalText } from '../../platform/terminal-text.ts';
import { wordWrap } from '../../platform/word-wrap.ts';
import { addCommand } from '../add-command.ts';
import { makeOutput } from '../alert-output.ts';
import { type Closable, closeOnSignal } from '../close-on-signal.ts';
import type { Config } from '../config/settings.ts';
import { clock } from '../real-clock.ts';
import { columnsOf, complain, logOf } from '../terminal.ts';
import { version } from '../version.ts';
import { startAlerter } from '../wiring/alerter.ts';
import { startCollector } from '../wiring/collector.ts';
import { type RunningServer, startServer } from '../wiring/server.ts';

export function addUp(program: Command): void {
  addCommand(program, 'up', 'run server, collector of this host and alerter in one process', up);
}

const firstTableMs = 10_000;
const topRows = 12;

/** One process for a first look: the same daemons, talking over loopback as they would over a network. */
async function up(config: Config): Promise<void> {
  const say = (message: string) => process.stdout.write(`${wordWrap(message, columnsOf(process.stdout))}\n`);
  const plain = plainLog(say);
  if (config.tlsCert ?? config.tlsKey ?? config.tlsClientCa)
    throw new MonitorError('invalid', "'up' talks to itself without TLS; use 'serve', 'collect' and 'alert' with it");
  warnWhenTooShort(config, plain.warn);
  const server = await startServer(
    config,
    clock,
    logOf(config.logLevel === 'info' ? 'warn' : config.logLevel),
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
    const alerter = await startAlerter(config, server.url, clock, makeOutput(false), server.own);
    closing.unshift(alerter);
  } catch (error) {
    for (const daemon of closing) await daemon.close();
    throw error;
  }
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
