import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import Type, { type Static } from 'typebox';
import { Check } from 'typebox/value';
import { MonitorError, messageOf } from '../core/error.ts';
import { type PolicyName, policies } from '../forecast/amber-policy.ts';
import { backtest } from '../forecast/backtest.ts';
import { longestHorizon } from '../forecast/history.ts';

/** A list of recorded series: CSV files with the header `timestamp,value`, one row per step, no value: missing. */
const manifestSchema = Type.Object({
  series: Type.Array(
    Type.Object({
      name: Type.String(),
      file: Type.String(),
      threshold: Type.Number({ minimum: 0 }),
      horizon: Type.Integer({ minimum: 1, maximum: longestHorizon }),
      step_seconds: Type.Number({ exclusiveMinimum: 0 }),
    }),
  ),
});

export interface BacktestLine {
  series: string;
  amber: number[];
  probability: (number | null)[];
  eta_steps: (number | null)[];
}

/**
 * What the production code would have said of each series of a manifest, row by row and by the rows before.
 * @param progress is told before each series
 * @throws MonitorError `invalid` when a file cannot be read or understood
 */
export async function* backtestManifest(
  path: string,
  policy: PolicyName,
  progress: (done: number, total: number, name: string) => void,
): AsyncIterable<BacktestLine> {
  const { series } = parseManifest(await readText(path), path);
  for (const [index, { name, file, threshold, horizon, step_seconds }] of series.entries()) {
    progress(index, series.length, name);
    const csv = join(dirname(path), file);
    const values = parseValues(await readText(csv), csv);
    const shape = { threshold, horizonSteps: horizon, stepSeconds: step_seconds };
    const { amber, probability, etaSteps } = backtest(values, shape, policies[policy]);
    yield { series: name, amber, probability: probability.map(rounded), eta_steps: etaSteps.map(rounded) };
  }
}

function parseManifest(text: string, path: string): Static<typeof manifestSchema> {
  let manifest: unknown;
  try {
    manifest = JSON.parse(text);
  } catch (error) {
    throw new MonitorError('invalid', `${path} is not JSON: ${messageOf(error)}`, { cause: error });
  }
  if (!Check(manifestSchema, manifest)) {
    throw new MonitorError(
      'invalid',
      `${path} is no manifest; it must look like {"series":[{"name":"a","file":"a.csv","threshold":80,"horizon":10,"step_seconds":60}]}`,
    );
  }
  return manifest;
}

/** The second column of every row after the header. */
function parseValues(text: string, path: string): (number | null)[] {
  const [header = '', ...rows] = text.replace(/^\ufeff/, '').split(/\r?\n/);
  if (!/^"?timestamp"?,"?value"?$/i.test(header.replaceAll(' ', '')))
    throw new MonitorError(
      'invalid',
      `${path} begins with '${header.slice(0, 60)}'; its first line must be the header timestamp,value`,
    );
  if (rows.at(-1) === '') rows.pop();
  return rows.map((row, index) => {
    const cell = (row.split(',')[1] ?? '').trim();
    if (cell === '' || /^(nan|null)$/i.test(cell)) return null;
    const value = Number(cell);
    if (!Number.isFinite(value)) throw new MonitorError('invalid', `${path}, row ${index + 2}: '${cell}' is no number`);
    return value;
  });
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new MonitorError('invalid', `cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
}

function rounded(value: number | null): number | null {
  return value === null ? null : Math.round(value * 1e5) / 1e5;
}
