import type { Command } from 'commander';
import { MonitorError } from '../../core/error.ts';
import { seriesKey } from '../../core/series.ts';
import { clockTime } from '../../platform/clock-time.ts';
import { plainTable } from '../../platform/plain-table.ts';
import { terminalText } from '../../platform/terminal-text.ts';
import { addCommand, type CommandContext, printed } from '../add-command.ts';
import { parseSource } from '../config/source-settings.ts';
import { withClient } from '../wiring/client-access.ts';
import { readPem } from '../wiring/pem.ts';

export function addSource(program: Command): void {
  const source = program.command('source').description('every Prometheus that a server asks for what it has');
  addCommand(source, ['source', 'ls'], 'list them, and how that goes; asks the server', printed(listSources));
  addCommand(source, ['source', 'test'], 'ask a Prometheus once, and show what would come', printed(testSource))
    .argument('<url>', 'of its page')
    .option('--selector <selector>', 'which series, as Prometheus reads it; may be repeated', collect)
    .option(
      '--allow <address>',
      'address or network that may be called although it is private; may be repeated',
      collect,
    )
    .option('--name <name>', 'what it will be called; its token is AMBERWATCH_SOURCE_NAME_TOKEN', 'test')
    .addHelpText('after', example);
}

const example = `
Example:
  amberwatch source test http://10.0.0.7:9090 --allow 10.0.0.7 --selector '{job="summary",instance="106"}'`;

const windowMs = 300_000;
const mostShown = 20;

function collect(text: string, before: string[] = []): string[] {
  return [...before, text];
}

async function* listSources({ config }: CommandContext): AsyncIterable<string> {
  const { sourceLines } = await import('../../report/source-lines.ts');
  yield* sourceLines(await withClient(config, (client) => client.sources()));
}

async function* testSource({ config: { ca }, flags, args: [url = ''], now }: CommandContext): AsyncIterable<string> {
  const { selector, allow, name } = flags;
  const options = parseSource(JSON.stringify({ name, url, selector, allow }), process.env);
  const { sampleOfSource } = await import('../../sources/source-sample.ts');
  const pem = ca === undefined ? {} : { ca: readPem(ca, '--ca', 'certificate') };
  const found = await sampleOfSource({ ...options, ...pem }, { from: now - windowMs, to: now }).catch(
    (error: unknown) => {
      throw error instanceof MonitorError
        ? new MonitorError(error.code, `${options.url.href}: ${error.message}`, { cause: error })
        : error;
    },
  );
  const { version, series, samples, notKept } = found;
  yield `${options.url.href} answers${version === null ? '' : `: version ${terminalText(version)}`}. In the last 5 minutes ${series.length} series with ${samples} samples.`;
  if (series.length === 0) yield 'Nothing would come: look at the selector, and whether its targets are up.';
  const shown = series
    .slice(0, mostShown)
    .map((each) => [
      terminalText(seriesKey(each.series), 100),
      each.kind,
      each.value === null ? '-' : String(each.value),
      each.time === null ? '-' : clockTime(each.time),
      String(each.samples),
    ]);
  if (shown.length > 0) yield* plainTable(['SERIES', 'KIND', 'NEWEST', 'OF', 'SAMPLES'], shown);
  if (series.length > mostShown) yield `and ${series.length - mostShown} more`;
  if (notKept.count > 0) yield `${notKept.count} samples would not be kept: ${terminalText(notKept.why ?? '', 300)}`;
}
