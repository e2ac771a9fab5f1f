import Type, { type Static } from 'typebox';
import { levels, mostEndings } from '../core/alarm.ts';
import { longestSelector } from '../core/selector.ts';
import { instant, integer, maxNameLength, optionalInstant, text } from './fields.ts';

export interface PredictionAnswer {
  probability: number;
  etaSeconds: number | null;
  intervalSeconds: number[] | null;
  notify: boolean;
}

const alarmSchema = Type.Object({
  id: Type.String(),
  level: Type.Enum(['RED', 'AMBER']),
  state: Type.Enum(['firing', 'stale']),
  host: Type.String(),
  ip: text,
  subject: Type.Object({
    kind: Type.Enum(['process', 'system', 'series'], { description: 'series: of another source.' }),
    name: Type.Optional(Type.String()),
    pid: Type.Optional(integer),
  }),
  metric: Type.String(),
  series: Type.String({ description: 'Its key, as selectors name it.' }),
  of: Type.Enum(['largest', 'group'], { description: 'Of a process: its largest instance, or all of the name.' }),
  basis: Type.Enum(['core', 'host'], { description: 'What 100 % of cpu is: one core, or all of the host.' }),
  value: Type.Number(),
  threshold: Type.Number(),
  since: instant('When the run over the threshold began; of AMBER, when it was first said.'),
  reason: Type.String({ description: 'All of it as one sentence.' }),
  culprits: Type.Array(Type.Object({ process: Type.String(), value: Type.Number() }), {
    description: "Of an alarm of a host's CPU or memory: the processes that take most of it.",
  }),
  prediction: Type.Unsafe<PredictionAnswer | null>({
    type: ['object', 'null'],
    description: 'Of AMBER: how likely the breach is within the horizon, and when it would come.',
    properties: {
      probability: { type: 'number' },
      etaSeconds: { type: ['number', 'null'], description: 'Seconds from the last forecast, at most a step ago.' },
      intervalSeconds: { type: ['array', 'null'], items: { type: 'number' } },
      notify: { type: 'boolean', description: 'Sure enough to wake somebody: the policy that puts precision first.' },
    },
  }),
  leadSeconds: Type.Unsafe<number | null>({
    type: ['number', 'null'],
    description: 'Of RED that was AMBER before: how much earlier.',
  }),
});
export type AlarmAnswer = Static<typeof alarmSchema>;

const endedSchema = Type.Object({
  id: Type.Unsafe<string | null>({
    type: ['string', 'null'],
    description: "Of the alarm; null: a host's silence or pause.",
  }),
  host: Type.String(),
  how: Type.Enum(['recovered', 'exited', 'unknown', 'forgotten', 'expired'], {
    description:
      'recovered: no longer over, or heard of again; exited: the process; unknown: no value any more; forgotten: somebody has said that the host is gone; expired: nothing heard for so long that nothing is known any more.',
  }),
  value: Type.Unsafe<number | null>({ type: ['number', 'null'], description: 'By then.' }),
  newestAt: Type.Optional(instant('The newest snapshot of the host by which this is said.')),
  paused: Type.Optional(
    Type.Boolean({ description: 'Of unknown: its host is not looked at any more, as somebody wants it.' }),
  ),
});
export type EndedAnswer = Static<typeof endedSchema>;

export const alarmsSchema = Type.Object(
  {
    at: instant('What the alarms are computed for.'),
    newestAt: Type.Optional(
      instant(
        'When the newest snapshot was taken of all that were looked at: of two servers the one that knows less is late.',
      ),
    ),
    level: Type.Enum([...levels]),
    alarms: Type.Array(alarmSchema, { description: 'Worst first.' }),
    stale: Type.Array(
      Type.Object({
        host: Type.String({ description: 'Or (prometheus NAME): a source that is asked.' }),
        lastSeen: instant('Its newest snapshot, or answer.'),
        why: Type.Optional(Type.String({ description: 'Of a source: why there is nothing new.' })),
      }),
    ),
    paused: Type.Array(Type.Object({ host: Type.String(), lastSeen: instant('Its newest snapshot.') }), {
      description: 'Hosts that somebody has paused: they live, and nothing else is known.',
    }),
    nextStaleAt: optionalInstant('When the next host will be STALE if it says nothing more.'),
  },
  { title: 'Alarms' },
);
export type AlarmsAnswer = Static<typeof alarmsSchema>;

export const endingsBodySchema = Type.Object(
  {
    alarms: Type.Array(
      Type.Object({
        id: Type.String({ maxLength: 64 }),
        host: Type.String({ maxLength: maxNameLength }),
        series: Type.String({ maxLength: longestSelector }),
        basis: Type.Optional(Type.Enum(['core', 'host'])),
      }),
      { maxItems: mostEndings, description: 'As GET /v1/alarms had them.' },
    ),
    hosts: Type.Array(Type.String({ maxLength: maxNameLength }), {
      maxItems: mostEndings,
      description: 'Hosts that were silent or paused.',
    }),
  },
  { title: 'EndingsAsked' },
);
export type EndingsBody = Static<typeof endingsBodySchema>;

export const endingsSchema = Type.Object({ at: instant('Now.'), ended: Type.Array(endedSchema) }, { title: 'Endings' });
export type EndingsAnswer = Static<typeof endingsSchema>;
