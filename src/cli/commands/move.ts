import { type Command, Option } from 'commander';
import { AgreedRecord } from '../../core/agreement.ts';
import { formatDuration } from '../../core/duration.ts';
import { MonitorError } from '../../core/error.ts';
import type { Store } from '../../core/store.ts';
import { openDesiredSettings } from '../../hosts/desired-settings-file.ts';
import { clockTime } from '../../platform/clock-time.ts';
import { openSlas } from '../../sla/sla-file.ts';
import type { MoveProgress } from '../../store/move.ts';
import { addCommand, type CommandContext, printed } from '../add-command.ts';
import { withoutSecrets } from '../config/address.ts';
import type { Config } from '../config/settings.ts';
import { clock } from '../real-clock.ts';
import { complain, logOf } from '../terminal.ts';
import { storeOptions } from '../wiring/store-options.ts';

const hourMs = 3_600_000;
/** How much a store has to say of new names: what is moved is not new. */
const noBudget = 1e9;

const examples = `
Only what is newer than --retention is moved, and roll-ups of what is older are not. The store it comes from is only
read; an embedded one must not be in use. Ended in whatever way, the same command goes on where it was.

Examples:
  amberwatch move --from duckdb:/var/lib/amberwatch/amberwatch.db --to clickhouse://ch-1,ch-2/monitoring
  amberwatch move --from influxdb://db:8086/monitoring --to duckdb:/tmp/copy.db --retention 1d --full-speed`;

export function addMove(program: Command): void {
  const remedy = 'as --store of the server';
  const what = 'copy what a store has into another, and compare both';
  addCommand(program, 'move', what, printed(moveStore))
    .addOption(new Option('--from <url>', `the store it comes from, ${remedy}`).makeOptionMandatory())
    .addOption(new Option('--to <url>', `the store it goes into, ${remedy}`).makeOptionMandatory())
    .option('--full-speed', 'without the rests that leave half of the time to others')
    .addHelpText('after', examples);
}

async function* moveStore({ config, flags, now }: CommandContext): AsyncIterable<string> {
  const [from, to] = [checkedUrl(flags.from, '--from'), checkedUrl(flags.to, '--to')];
  if (from === to) throw new MonitorError('invalid', `--from and --to are the same store: ${from}`);
  const stopped = abortedBySignal();
  const [source, target] = await openBoth(config, from, to);
  try {
    const { move } = await import('../../store/move.ts');
    const window = { from: Math.floor((now - config.retention) / hourMs) * hourMs, to: now + hourMs };
    yield `moving what is newer than ${clockTime(window.from)} from ${source.url} to ${target.url}`;
    await moveSettings(config, source, target);
    const paceOf = pacing();
    let last: MoveProgress | null = null;
    for await (const progress of move(source, target, { window, isPaced: flags.fullSpeed !== true, signal: stopped })) {
      yield progressLine(progress, paceOf(progress));
      last = progress;
    }
    yield `both have the same: ${told(last)}`;
  } catch (error) {
    if (!stopped.aborted) throw error;
    yield 'ended; the same command goes on from here';
  } finally {
    await source.close();
    await target.close();
  }
}

function checkedUrl(text: unknown, flag: string): string {
  const remedy = 'give user and password as AMBERWATCH_CLICKHOUSE_USER, AMBERWATCH_INFLUX_USER, ...';
  const url = withoutSecrets(String(text), flag, remedy);
  if (url.startsWith('memory:')) throw new MonitorError('invalid', `${flag} memory: is of one process alone`);
  return url;
}

async function openBoth(config: Config, from: string, to: string): Promise<[Store, Store]> {
  const { openStore } = await import('../../store/open.ts');
  const options = storeOptions(config, clock, logOf(config.logLevel));
  const source = await openStore(from, { ...options, isReadOnly: true });
  try {
    const target = await openStore(to, {
      ...options,
      newNamesPerDay: noBudget,
      newSeriesPerDay: noBudget,
      // One piece follows the other: there is nobody to wait for.
      clickhouse: { ...options.clickhouse, insertEveryMs: 0 },
    });
    await target.ping();
    return [source, target];
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** What somebody has said to the server of the data folder, where the servers of the target agree. */
async function moveSettings(config: Config, source: Store, { agreements }: Store): Promise<void> {
  if (agreements === undefined) return;
  const now = () => clock.now();
  const slas = Object.fromEntries(openSlas(config.data, complain).slas.map((sla) => [sla.id, sla]));
  const { hosts } = openDesiredSettings(config.data, complain);
  const own = source.agreements;
  for (const [kind, record] of [
    ['sla', slas],
    ['desired', hosts],
  ] as const) {
    const here = own === undefined ? record : await new AgreedRecord(own, kind, now).read();
    const there = new AgreedRecord<unknown>(agreements, kind, now);
    await there.keep({ ...here, ...(await there.read()) });
  }
}

/** Rows a second, and the time left at the pace of the hours so far. */
function pacing(): (progress: MoveProgress) => { rowsPerSecond: number; leftMs: number } {
  const begun = clock.monotonic();
  return ({ hours, rows }) => {
    const ms = Math.max(1, clock.monotonic() - begun);
    return { rowsPerSecond: (rows / ms) * 1000, leftMs: (ms / hours.done) * (hours.all - hours.done) };
  };
}

function progressLine(progress: MoveProgress, pace: { rowsPerSecond: number; leftMs: number }): string {
  const { hours, until } = progress;
  const left = hours.done === hours.all ? '' : `, ${formatDuration(Math.ceil(pace.leftMs / 1000) * 1000)} left`;
  return `${clockTime(until)}  ${hours.done} of ${hours.all} hours, ${told(progress)}, ${Math.round(pace.rowsPerSecond).toLocaleString('en')} rows/s${left}`;
}

function told(progress: MoveProgress | null): string {
  const { rows = 0, samples = 0, skipped = 0 } = progress ?? {};
  const others = samples === 0 ? '' : `, ${samples.toLocaleString('en')} samples of other sources`;
  return `${rows.toLocaleString('en')} rows${others} copied, ${skipped} hours there already`;
}

/** Ctrl-C ends it between two pieces. */
function abortedBySignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => controller.abort(new Error('ended')));
  return controller.signal;
}
