import type { ErrorCode } from '../../core/error.ts';
import type { Forecast } from '../../core/forecast.ts';
import type { DiskUse, Reading, Reads, Store, TimeWindow } from '../../core/store.ts';
import type { HourTally } from '../../core/tally.ts';
import type { PackedSamples } from './packed-samples.ts';
import type { PackedSnapshot } from './packed-snapshot.ts';

/** What the store's thread is started with. */
export interface ThreadData {
  path: string;
  retentionMs: number;
  minuteRetentionMs: number;
  hourRetentionMs: number;
  /** On disk, with all that is closed; null: as much as it comes to. */
  mostBytes: number | null;
  newNamesPerDay: number;
  newSeriesPerDay: number;
  isReadOnly: boolean;
  /** Wall time at the start. */
  now: number;
  /** For the name of what is set aside. */
  stamp: string;
}

/** One of the snapshots of a write that was not stored: these new names of it are too many. */
export interface OverBudget {
  index: number;
  names: string[];
  /** Since when names of its host are folded today. */
  since: number;
  /** Nobody has been told yet. */
  isFirst: boolean;
}

/** One of the snapshots of a write that was stored: names of its host are folded today. */
export interface Folding {
  index: number;
  since: number;
}

export interface Written {
  /** Names that were not known as the snapshots were packed. */
  learned: [name: string, id: number][];
  overBudget: OverBudget[];
  folding: Folding[];
}

export interface WrittenSamples {
  /** Nothing of it was written: its ids are of another epoch than this. */
  isStale: boolean;
  epoch: number;
  /** Ids of what was not known as they were packed; null: beyond the budget. */
  ids: (number | null)[];
  /** Places of those that are of new series beyond their owner's budget. */
  beyondBudget: number[];
  /** Owners who are beyond it for the first time today. */
  warned: string[];
}

/** The store as its thread has it: snapshots come packed, and names have ids. */
export interface Engine extends Required<Reads>, Pick<Store, 'expire' | 'ping' | 'close'> {
  /** @param now wall time as they came */
  write(snapshots: readonly PackedSnapshot[], now: number): Promise<Written>;
  writeSamples(packed: PackedSamples, now: number): Promise<WrittenSamples>;
  /** All or none. */
  keepForecasts(forecasts: readonly Forecast[], now: number): Promise<void>;
  keepTallies(hours: TimeWindow, tallies: readonly HourTally[], now: number): Promise<void>;
  disk(): Promise<DiskUse>;
  /** Closes what is over. @returns what has been found damaged or had to be forgotten, as sentences */
  compact(now: number): Promise<string[]>;
  /** Reads every byte of what is closed. @returns the same */
  verify(): Promise<string[]>;
  /**
   * Finds the names that no row has any more, if there are so many names that it is worth it. From now on it is
   * watched which of them are used again. @returns how many
   */
  findUnusedNames(): Promise<number>;
  /** Deletes what was found. Whoever remembers ids of names has to have forgotten them before. */
  forgetNames(): Promise<void>;
}

export type Method = keyof Engine;

/** How many arguments each read has before its bounds. */
export const readArguments = {
  latest: 1,
  headers: 1,
  samples: 1,
  rows: 2,
  means: 1,
  resolution: 2,
  page: 1,
  parquet: 1,
  select: 1,
  statistics: 1,
  above: 3,
  forecasts: 1,
  tallies: 1,
  stretches: 2,
} as const satisfies Record<keyof Reads, number>;

export interface Call {
  id: number;
  method: Method;
  args: unknown[];
  /** Of a read, which may be cancelled. */
  lane?: Reading['lane'] | 'own';
}

export interface Cancel {
  cancel: number;
}

/** An error cannot keep its class on the way between threads. */
export interface PlainError {
  code: ErrorCode;
  message: string;
  retryAfterSeconds: number | undefined;
}

/** The first answer of all, to no call: whether the store could be opened, and what was mended, as texts. */
export const openedId = 0;
