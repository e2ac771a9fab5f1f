import { closeSync, createReadStream, openSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { createGunzip } from 'node:zlib';
import { SeriesForecaster } from '../src/forecast/series-forecaster.ts';

/**
 * Walks series with the production code and writes what the model is given, for train.py.
 *
 *   tsx training/features.ts SERIES.jsonl[.gz] OUT [PART/PARTS]
 *
 * One series per line: {name, source, step_seconds, threshold, horizon, values}. Writes OUT.f32, a row of 32-bit
 * floats per kept step, and OUT.jsonl, one line per series with its place in that file.
 */
const [input = '', output = '', part = '0/1'] = process.argv.slice(2);
const [index = 0, parts = 1] = part.split('/').map(Number);

interface Line {
  name: string;
  source: string;
  step_seconds: number;
  threshold: number;
  horizon: number;
  values: (number | null)[];
  /** Keep about so many steps, evenly spread at random; all when absent. */
  keep?: number;
}

const rows = openSync(`${output}.f32`, 'w');
const about = openSync(`${output}.jsonl`, 'w');
const source = createReadStream(input);
const lines = createInterface({ input: input.endsWith('.gz') ? source.pipe(createGunzip()) : source });
let seed = 0;
let number = 0;
for await (const text of lines) {
  if (number++ % parts !== index) continue;
  const line = JSON.parse(text) as Line;
  const { keep, values, ...rest } = line;
  const forecaster = new SeriesForecaster({
    threshold: line.threshold,
    horizonSteps: line.horizon,
    stepSeconds: line.step_seconds,
  });
  const share = keep === undefined ? 1 : keep / values.length;
  // By series, so that parts keep what the whole would.
  seed = number;
  const kept: number[] = [];
  for (const [at, value] of values.entries()) {
    forecaster.learn(value);
    if (at < 30 || random() >= share) continue;
    kept.push(at);
    writeSync(rows, new Uint8Array(forecaster.inputs.buffer));
  }
  writeSync(about, `${JSON.stringify({ ...rest, number: number - 1, length: values.length, kept })}\n`);
}
closeSync(rows);
closeSync(about);
const { inputNames } = new SeriesForecaster({ threshold: 1, horizonSteps: 1, stepSeconds: 1 });
process.stdout.write(`${JSON.stringify(inputNames)}\n`);

function random(): number {
  seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
  return (seed >>> 8) / 2 ** 24;
}
