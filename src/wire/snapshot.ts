import Type, { type Static } from 'typebox';
import {
  type HostColumn,
  type HostMetric,
  hostColumn,
  hostMetrics,
  type ProcessColumn,
  type ProcessColumnId,
  processColumn,
  processColumns,
  type RequiredColumnId,
} from '../core/metric.ts';
import type { ProcessUsage } from '../core/snapshot.ts';
import { maxProcesses } from '../core/snapshot.ts';
import { arrayOr, instant, mapValues, maxBytes, name, nullable } from './fields.ts';

/** More process names than this in one snapshot are refused. */

/** As the catalogue has it; what may be unknown may be null. */
const fieldOf = ({ least, most, decimals, description }: ProcessColumn | HostColumn) =>
  nullable(least, most, description, decimals === 0 ? 'integer' : 'number');
const { count: countColumn, ...knownOrNot } = processColumns;
const usageFields: Record<string, Type.TSchema> = {
  ...mapValues(knownOrNot, fieldOf),
  count: Type.Integer({
    minimum: countColumn.least,
    maximum: countColumn.most,
    description: countColumn.description,
  }),
};
const isRequired = (id: string) => processColumn(id as ProcessColumnId).isRequired;
/** Of a body: what a sender may leave out is optional. */
const columnFields = (ofColumn: (field: Type.TSchema) => Type.TSchema) =>
  Object.fromEntries(
    Object.entries(usageFields).map(([id, field]) => [
      id,
      isRequired(id) ? ofColumn(field) : Type.Optional(ofColumn(field)),
    ]),
  );

const usageBody = Type.Object(
  { name: name('Process name.'), ...columnFields((field) => field) },
  { title: 'ProcessUsage' },
);

const columnsBody = Type.Object(
  {
    name: Type.Array(name('Process name.'), { maxItems: maxProcesses }),
    ...columnFields((field) => Type.Array(field, { maxItems: maxProcesses })),
  },
  { title: 'ProcessColumns', description: 'The same as equally long arrays: half the bytes.' },
);

/** A process as it comes in. */
export type ProcessUsageBody = Pick<ProcessUsage, 'name' | RequiredColumnId> & Partial<ProcessUsage>;
/** The columns of one snapshot as they come in: all of them equally long. */
export type ProcessColumnsBody = { [K in keyof ProcessUsageBody]: Exclude<ProcessUsageBody[K], undefined>[] };

/** The figures of a host that its collector tells of, under `system` or `collector`. */
const hostFields = (group: 'system' | 'collector') =>
  Type.Object(
    Object.fromEntries(
      hostMetrics
        .filter((metric) => metric.startsWith(`${group}.`) && hostColumn(metric).by === 'collector')
        .map((metric) => [metric.slice(group.length + 1), Type.Optional(fieldOf(hostColumn(metric)))]),
    ),
  );

const snapshotBody = Type.Object(
  {
    host: name('Host name: with time, the identity of the snapshot.'),
    time: instant('When the sweep was made, by the clock of the host.'),
    ip: Type.Optional(Type.String({ maxLength: 64, description: "Default: the connection's address." })),
    interval: Type.Optional(
      Type.Number({ exclusiveMinimum: 0, maximum: 86_400, description: 'Seconds between snapshots. Default 10.' }),
    ),
    bootId: Type.Optional(Type.Union([Type.String({ maxLength: 64 }), Type.Null()])),
    cores: Type.Optional(nullable(0.001, 65_536, 'Usable cores; fractional under a cgroup quota.')),
    memoryBytes: Type.Optional(nullable(1, maxBytes, 'What 100 % of memory is.', 'integer')),
    limitedBy: Type.Optional(Type.Enum(['host', 'cgroup'], { description: 'Where cores and memoryBytes come from.' })),
    system: Type.Optional(hostFields('system')),
    collector: Type.Optional(hostFields('collector')),
    processes: arrayOr<ProcessUsageBody[], ProcessColumnsBody>(
      Type.Array(usageBody, { maxItems: maxProcesses }),
      columnsBody,
    ),
  },
  { title: 'Snapshot' },
);
/** What is told of a host: `null` is not known. */
type HostFigures<Group extends string> = {
  [K in HostMetric as K extends `${Group}.${infer Field}` ? Field : never]?: number | null;
};
export type SnapshotBody = Omit<Static<typeof snapshotBody>, 'system' | 'collector'> & {
  system?: HostFigures<'system'>;
  collector?: HostFigures<'collector'>;
};

/** One snapshot, or a backlog: an array of up to 100, together at most 1 MiB. */
export const usageBodySchema = arrayOr<SnapshotBody[], SnapshotBody>(
  Type.Array(snapshotBody, { minItems: 1, maxItems: 100 }),
  snapshotBody,
);

export const takenSchema = Type.Object(
  { stored: Type.Integer(), expired: Type.Integer({ description: 'Older than the retention: not stored.' }) },
  { title: 'Taken', description: 'All are settled, and these were too old to be stored.' },
);
export type TakenAnswer = Static<typeof takenSchema>;
