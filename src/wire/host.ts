import Type, { type Static } from 'typebox';
import { instant, integer, number, recordOf, text } from './fields.ts';

export const hostSchema = Type.Object(
  {
    host: Type.String(),
    ip: text,
    lastSeen: instant('Of its newest snapshot.'),
    state: Type.Enum(['fresh', 'stale']),
    interval: Type.Number({ description: 'Seconds.' }),
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
