import Type, { type Static } from 'typebox';
import { intervalBounds } from '../core/collector-settings.ts';
import { instant, integer, number, recordOf, text } from './fields.ts';

const desiredFields = {
  interval: Type.Unsafe<number | null>({
    type: ['number', 'null'],
    minimum: intervalBounds.leastMs / 1000,
    maximum: intervalBounds.mostMs / 1000,
    description: "Seconds between two snapshots; null: the collector's own.",
  }),
  paused: Type.Boolean({ description: 'Whether it is to say only that it lives.' }),
};
const desiredSchema = Type.Object(desiredFields, {
  title: 'Desired',
  description: 'What somebody wants of the collector, which learns it with its next snapshot.',
});

/** What is left out stays as it is. */
export const hostBodySchema = Type.Object(
  { interval: Type.Optional(desiredFields.interval), paused: Type.Optional(desiredFields.paused) },
  { title: 'DesiredChange', minProperties: 1, additionalProperties: false },
);
export type HostBody = Static<typeof hostBodySchema>;

export const hostSchema = Type.Object(
  {
    host: Type.String(),
    ip: text,
    lastSeen: instant('Of its newest snapshot.'),
    state: Type.Enum(['fresh', 'paused', 'stale'], { description: 'paused: it lives, and reports nothing else.' }),
    interval: Type.Number({ description: 'Seconds.' }),
    desired: desiredSchema,
    cores: number,
    memoryBytes: integer,
    limitedBy: Type.Enum(['host', 'cgroup']),
    bootId: text,
    system: recordOf(Type.Number()),
    collector: recordOf(Type.Number()),
  },
  { title: 'Host' },
);
export type HostAnswer = Static<typeof hostSchema>;
export const hostsSchema = Type.Object(
  {
    at: instant('Now.'),
    hosts: Type.Array(hostSchema),
    forgotten: Type.Array(Type.Object({ host: Type.String(), at: instant('When somebody said that it is gone.') })),
  },
  { title: 'Hosts' },
);
export type HostsAnswer = Static<typeof hostsSchema>;
