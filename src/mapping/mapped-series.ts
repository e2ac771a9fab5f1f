import { labelTest } from '../core/label-test.ts';
import type { MetricSample, Point } from '../core/sample.ts';
import type { Selector } from '../core/selector.ts';
import { type Labels, type Series, withoutPort } from '../core/series.ts';
import { ratesOf } from '../core/step-values.ts';
import type { Figure, FigurePart, MappedColumn, Mapping } from './mapping.ts';

/** A longer gap says nothing of how fast a counter grows now. */
const longestGapMs = 3_600_000;
/** Of a name, as wherever one is given. */
const longestHost = 253;
/** What tells targets of a Prometheus apart, and the copies of one that is there twice. */
const targetLabels = [
  'job',
  'instance',
  'metrics_path',
  'source',
  'prometheus',
  'prometheus_replica',
  'replica',
  '__replica__',
];

/** What a series is a part of. */
export interface Use {
  column: MappedColumn;
  figure: Figure;
  part: FigurePart;
  isRate: boolean;
}

/** What a sample says of a host or process; null: nothing yet, but that it is there. */
export interface ToldValue {
  use: Use;
  value: number | null;
}

/** What a sample says. */
export interface Told {
  time: number;
  values: readonly ToldValue[];
  /** Its series has ended. */
  isEnded: boolean;
}

/** A series that a mapping takes, and where it is. */
export class MappedSeries {
  readonly mapping: Mapping;
  readonly host: string;
  /** Null: it is about the host. */
  readonly process: string | null;
  /** Where it was scraped. */
  readonly target: string;
  readonly #uses: readonly Use[];
  /** The newest sample, and the last of its past: that comes too. */
  #live: Point | null = null;
  #past: Point | null = null;

  constructor({ mapping, host, process, target, uses }: Placed) {
    this.mapping = mapping;
    this.host = host;
    this.process = process;
    this.target = target;
    this.#uses = uses;
  }

  /** What a sample says; null: it was there before. */
  tell(sample: Pick<MetricSample, 'time' | 'value'>): Told | null {
    const { time, value } = sample;
    if (time === this.#live?.time || time === this.#past?.time) return null;
    if (value === 'exited') {
      if (this.#live === null || time > this.#live.time) this.#live = null;
      return { time, values: [], isEnded: true };
    }
    const rate = this.#rate(time, value);
    const values = this.#uses.map((use) => ({ use, value: use.isRate ? rate : value }));
    return { time, values, isEnded: false };
  }

  /** How much it has grown in a second since the sample before. */
  #rate(time: number, value: number): number | null {
    const isPast = this.#live !== null && time < this.#live.time;
    const before = isPast ? this.#past : this.#live;
    if (isPast) this.#past = { time, value };
    else this.#live = { time, value };
    if (before === null || time - before.time > longestGapMs) return null;
    return ratesOf([before, { time, value }])[0]?.value ?? null;
  }
}

/** Where a series belongs. */
interface Placed {
  mapping: Mapping;
  host: string;
  process: string | null;
  target: string;
  uses: readonly Use[];
}

interface Taker {
  mapping: Mapping;
  column: MappedColumn;
  figure: Figure;
  part: FigurePart;
  fits: (labels: Labels) => boolean;
}

/** Which series mappings take. */
export class SeriesMatcher {
  readonly #takers = new Map<string, Taker[]>();

  constructor(mappings: readonly Mapping[]) {
    for (const mapping of mappings)
      for (const [column, figure] of mapping.columns) {
        this.#add(mapping, column, figure, 'of', figure.of);
        if (figure.how !== 'used') continue;
        this.#add(mapping, column, figure, 'free', figure.free);
        if (figure.left !== null) this.#add(mapping, column, figure, 'left', figure.left);
      }
  }

  /** Whether a mapping may take a series of that name. */
  knows(metric: string): boolean {
    return this.#takers.has(metric);
  }

  /** A series as each mapping takes it; `unnamed`: one would, but for a label that names its host or process. */
  match({ metric, labels }: Series, kind: MetricSample['kind']): { found: MappedSeries[]; unnamed: Mapping[] } {
    const uses = new Map<Mapping, Use[]>();
    for (const { mapping, column, figure, part, fits } of this.#takers.get(metric) ?? []) {
      if (!fits(labels)) continue;
      const isRate = figure.how !== 'count' && (kind === 'counter' || figure.how === 'rate');
      const use = { column, figure, part, isRate };
      uses.set(mapping, [...(uses.get(mapping) ?? []), use]);
    }
    const [found, unnamed]: [MappedSeries[], Mapping[]] = [[], []];
    for (const [mapping, ofMapping] of uses) {
      const host = hostOf(mapping, labels);
      const isOfHost = mapping.process === null || ofMapping.every(({ column }) => isHostColumn(column));
      const process = isOfHost ? null : processOf(mapping, labels);
      if (host === null || (!isOfHost && process === null)) unnamed.push(mapping);
      else found.push(new MappedSeries({ mapping, host, process, target: targetOf(labels), uses: ofMapping }));
    }
    return { found, unnamed };
  }

  #add(mapping: Mapping, column: MappedColumn, figure: Figure, part: FigurePart, selector: Selector): void {
    const takers = this.#takers.get(selector.metric) ?? [];
    this.#takers.set(selector.metric, takers);
    takers.push({ mapping, column, figure, part, fits: labelTest(selector) });
  }
}

/** Facts of the host, and what it measures as a whole. */
export function isHostColumn(column: MappedColumn): boolean {
  return column === 'cores' || column === 'memoryBytes' || column.startsWith('system.');
}

/** Names that no host can be reported by are none: those in parentheses are of what is no host. */
function hostOf({ host }: Mapping, labels: Labels): string | null {
  const text = host.map((label) => labels[label]).find((value) => value !== undefined) ?? '';
  const name = withoutPort(text);
  return name === '' || name.length > longestHost || name.startsWith('(') ? null : name;
}

/** `job="process",instance="web-01:9256"` */
function targetOf(labels: Labels): string {
  const known = targetLabels.filter((label) => labels[label] !== undefined);
  return known.map((label) => `${label}=${labels[label]}`).join(', ');
}

function processOf({ process }: Mapping, labels: Labels): string | null {
  for (const given of process ?? []) {
    const values = given.split('/').map((label) => labels[label]);
    if (values.every((value) => value !== undefined)) return values.join('/');
  }
  return null;
}
