import type { HostMetric, ProcessColumnId } from '../core/metric.ts';
import type { Selector } from '../core/selector.ts';

/** What a mapping can tell of a host beside its metrics. */
export const hostFacts = ['cores', 'memoryBytes'] as const;
export type HostFact = (typeof hostFacts)[number];

/** A column of processes or of hosts, or a fact. */
export type MappedColumn = ProcessColumnId | HostMetric | HostFact;

/** How the values of one instant become one. Of a counter it is by how much it grows in a second. */
export type Figure =
  /** `times` brings it into the unit of the column. */
  | { how: 'sum' | 'max' | 'count' | 'rate'; of: Selector; times: number }
  /** In percent what of the whole is not free. Where less is left than is free, the rest of it is nobody's, as `df` has it. */
  | { how: 'used'; free: Selector; of: Selector; left: Selector | null };

/** A part of a figure that a series may be. */
export type FigurePart = 'of' | 'free' | 'left';

/** How series that others have measured are the usage of hosts and their processes. */
export interface Mapping {
  name: string;
  /** Labels that name the host, with or without a port; the first that is there does. */
  host: readonly string[];
  /** Labels that name a process, with a slash between several; the first that are there do. Null: it tells of hosts alone. */
  process: readonly string[] | null;
  /** Samples have times of their own, and not that of a scrape: they count to steps of so long. Null: those of a scrape. */
  stepMs: number | null;
  columns: ReadonlyMap<MappedColumn, Figure>;
}
