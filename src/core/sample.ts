import type { Series } from './series.ts';

/** One value of a series, as a source has sent it. */
export interface MetricSample {
  series: Series;
  /** A counter only ever grows: what is told of it is by how much, in a second. */
  kind: 'gauge' | 'counter';
  /** `exited`: the series has ended, and is not there any more at this time. */
  value: number | 'exited';
  /** Epoch milliseconds. (series, time) names the sample. */
  time: number;
  /** Whose new series these count as: `host NAME`, `source NAME`, `prometheusOwner`, or '' of nobody. */
  owner: string;
}

const prometheus = 'prometheus ';

/** Whose the series of a Prometheus are: its own, or of all that nobody can tell apart. */
export function prometheusOwner(source: string | null): string {
  return `${prometheus}${source ?? ''}`;
}

export function isPrometheus(owner: string): boolean {
  return owner.startsWith(prometheus);
}

/** A value of one snapshot or sample; null where it is not known, `exited` where the process was not in it, or the series has ended. */
export interface Sample {
  time: number;
  value: number | null | 'exited';
}

/** Values that follow each other, all of one level. */
export interface Stretch {
  /** Of the first and of the last of them. */
  from: number;
  to: number;
  level: 'low' | 'between' | 'over';
  /** What was before has nothing to do with it: the process had exited, or nothing was heard for too long. */
  hole: 'exit' | 'gap' | null;
}

/** Asks for the stretches of a series as its levels divide it. */
export interface StretchQuery {
  series: Series;
  red: number;
  clear: number;
  /** A hole longer than this divides. */
  gapMs: number;
  /** Points after this are not looked at, also those in the window. */
  until: number;
}

/** A value over a step or of a sample that is known. */
export interface Point {
  time: number;
  value: number;
}

/** Whether the last thing said of a series is that it is not there any more. */
export function hasEnded(samples: readonly Sample[]): boolean {
  return samples.at(-1)?.value === 'exited';
}

export function isKnown(sample: Sample): sample is Point {
  return typeof sample.value === 'number';
}
