import { formatDuration } from '../core/duration.ts';
import { clockTime } from '../platform/clock-time.ts';
import { plainTable } from '../platform/plain-table.ts';
import { terminalText } from '../platform/terminal-text.ts';
import type { SourceAnswer, SourcesAnswer } from '../wire/source.ts';

/** The answer of /v1/sources as a table, and under it what is wrong. */
export function sourceLines({ sources }: SourcesAnswer): string[] {
  if (sources.length === 0) return ["no source is configured: 'sources:' in the file that --config names"];
  const rows = sources.map(({ name, url, state, answered, series, samples, missing }) => [
    terminalText(name),
    terminalText(url, 80),
    state === 'ok' ? 'ok' : 'AWAY',
    answered === null ? '-' : clockTime(Date.parse(answered)),
    String(series),
    String(samples),
    missing > 0 ? formatDuration(missing * 1000) : '-',
  ]);
  const table = plainTable(['SOURCE', 'ADDRESS', 'STATE', 'ANSWERED', 'SERIES', 'SAMPLES', 'STILL TO COME'], rows);
  return [...table, ...sources.flatMap((source) => [...troubles(source)])];
}

function* troubles({ name, failure, notKept, notKeptReason }: SourceAnswer): Generator<string> {
  if (failure !== null) yield `${terminalText(name)}: ${terminalText(failure, 300)}`;
  if (notKept > 0)
    yield `${terminalText(name)}: ${notKept} of its samples are not kept: ${terminalText(notKeptReason ?? '', 300)}`;
}
