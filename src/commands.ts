import type { MonitorClient } from './client.ts';
import { clientOptions, placeForToken, withClient } from './client-access.ts';
import { type Config, serverUrl } from './config.ts';
import { clockTime } from './core/clock-time.ts';
import { parseDuration } from './core/duration.ts';
import { MonitorError } from './core/error.ts';
import { isOfOtherSource } from './core/series.ts';
import { terminalJson, terminalText } from './core/terminal-text.ts';
import { isProcessThreshold, parseThreshold, type Threshold } from './core/threshold.ts';
import type { Role } from './core/token.ts';
import type { PolicyName } from './forecast/alarm-policy.ts';
import { spoolFolder } from './start.ts';

/** The commands that say something and end: each gives its lines as they come. */

export type Flags = Record<string, string | string[] | boolean | undefined>;

/** What a command was called with. `now` is wall time. */
export interface Called {
  config: Config;
  flags: Flags;
  args: readonly string[];
  now: number;
  /** Long work under way. */
  progress: (done: number, total: number, name: string) => void;
}

export async function* accuracy({ config, flags }: Called): AsyncIterable<string> {
  const { accuracyReport } = await import('./report/accuracy-lines.ts');
  const answer = await withClient(config, (client) => client.accuracy({ window: flags.window as string }));
  yield* flags.json === true ? [terminalJson(answer)] : accuracyReport(answer);
}

export async function* backtest({ config, flags, now, progress }: Called): AsyncIterable<string> {
  const policy = flags.policy as PolicyName;
  if (typeof flags.manifest === 'string') {
    const { backtestManifest } = await import('./report/manifest-backtest.ts');
    for await (const line of backtestManifest(flags.manifest, policy, progress)) yield terminalJson(line);
    return;
  }
  if (typeof flags.host !== 'string')
    throw new MonitorError('invalid', "backtest needs --manifest FILE, or --host NAME for one's own history");
  const { backtestHistory } = await import('./report/history-backtest.ts');
  const process = typeof flags.process === 'string' ? flags.process : null;
  const threshold = backtestThreshold(flags.metric as string | undefined, process);
  const sinceMs = parseDuration(flags.since as string, 'since');
  const asked = { host: flags.host, process, threshold, policy, sinceMs };
  yield* await withClient(config, (client: MonitorClient) => backtestHistory(client, asked, now));
}

function backtestThreshold(text: string | undefined, process: string | null): Threshold {
  const metric = text ?? (process === null ? 'system.cpu' : 'cpu');
  const threshold = parseThreshold(/[=:]/.test(metric) ? metric : `${metric}=80`);
  if (isOfOtherSource(threshold.selector.metric) || threshold.selector.matchers.length > 0)
    throw new MonitorError(
      'invalid',
      'backtest replays metrics of hosts and processes: name one, and --host, --process',
    );
  if (isProcessThreshold(threshold) !== (process !== null)) {
    const remedy = process === null ? 'process: name it with --process' : 'host: leave out --process';
    throw new MonitorError('invalid', `${threshold.metric} is a metric of a ${remedy}`);
  }
  if (/\b(?:basis|for|clear|hold)\s*=/.test(metric))
    throw new MonitorError('invalid', 'backtest knows red= and of= of a threshold; leave out the other options');
  return threshold;
}

export async function* join({ config, args: [given = '', code = ''] }: Called): AsyncIterable<string> {
  const url = serverUrl(given);
  const { MonitorClient } = await import('./client.ts');
  // Over the network, as the collector will: whoever has neither is told so now.
  const { token: _, local: __, ...tls } = await clientOptions(config, url);
  const client = new MonitorClient(url, tls);
  try {
    const place = await placeForToken(config.data, client.server);
    const path = await place.keep(await client.join(code, config.host));
    yield `${config.host} may report to ${client.server} now; its token is in ${path}`;
    yield `  amberwatch collect --server ${client.server} --host ${config.host}`;
  } finally {
    await client.close();
  }
}

export async function* createToken({ config, flags, now }: Called): AsyncIterable<string> {
  const commands = await import('./token-command.ts');
  const { role, host, source, expires } = flags as { role: Role; host?: string; source?: string; expires?: string };
  const owner = { ...(host !== undefined && { host }), ...(source !== undefined && { source }) };
  yield* await commands.createToken(config, role, owner, expires, now);
}

export async function* invite({ config, flags, now }: Called): AsyncIterable<string> {
  const { inviteHost } = await import('./token-command.ts');
  yield* await inviteHost(config, (flags.host as string | undefined) ?? null, now);
}

export async function* listTokens({ config, now }: Called): AsyncIterable<string> {
  const commands = await import('./token-command.ts');
  yield* commands.listTokens(config, now);
}

export async function* rotateToken({ config, flags, args: [id = ''], now }: Called): AsyncIterable<string> {
  const { rotate } = await import('./token-command.ts');
  yield* await rotate(config, id, flags.overlap as string, now);
}

export async function* revokeToken({ config, args: [id = ''], now }: Called): AsyncIterable<string> {
  const { revoke } = await import('./token-command.ts');
  yield* await revoke(config, id, now);
}

export async function* listHosts({ config, now }: Called): AsyncIterable<string> {
  const { hostLines } = await import('./report/host-lines.ts');
  yield* hostLines(await withClient(config, (client) => client.hosts()), now);
}

export async function* forgetHost({ config, args: [name = ''] }: Called): AsyncIterable<string> {
  const { host } = await withClient(config, (client) => client.forgetHost(name));
  yield `${terminalText(host)} is forgotten: not listed and not STALE any more, unless it reports again. What is stored of it stays until it expires; if it had a token, end that with: amberwatch token revoke`;
}

/** Without --confirm it only says what would be. */
export async function* expireStore({ config, flags }: Called): AsyncIterable<string> {
  const confirm = flags.confirm === true;
  const answer = await withClient(config, (client) => (confirm ? client.confirmExpiry() : client.expiry()));
  const oldest = answer.oldestKept === null ? 'nothing' : clockTime(Date.parse(answer.oldestKept));
  if (answer.expiresItself) yield 'InfluxDB forgets by its own clock and its own retention: nothing is done here';
  else if (answer.waiting !== null) yield answer.waiting;
  else if (confirm) yield `what was older than ${oldest} is forgotten`;
  else yield `nothing waits: every ten minutes what is older than the retention is forgotten, now before ${oldest}`;
}

export async function* listSpools({ config, now }: Called): AsyncIterable<string> {
  const commands = await import('./collector/spool-command.ts');
  yield* await commands.listSpools(spoolFolder(config), now);
}

/** Ends with exit code 1 where something is damaged. */
export async function* verifySpools({ config }: Called): AsyncIterable<string> {
  const commands = await import('./collector/spool-command.ts');
  const { lines, damaged } = await commands.verifySpools(spoolFolder(config));
  yield* lines;
  yield damaged === 0 ? 'no damage' : `${damaged} damaged: the collector will set them aside`;
  if (damaged > 0) process.exitCode = 1;
}

export async function* dropSpool({ config, args: [name = ''] }: Called): AsyncIterable<string> {
  const commands = await import('./collector/spool-command.ts');
  yield* await commands.dropSpool(spoolFolder(config), name);
}
