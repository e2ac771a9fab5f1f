import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import { isKnown } from '../../access/token.ts';
import type { EndedAlarm } from '../../alarms/endings.ts';
import { parseSeries } from '../../core/selector.ts';
import { readsWithin } from '../../core/store.ts';
import { untilAborted } from '../../platform/deadline.ts';
import { alarmsSchema, type EndingsBody, endingsBodySchema, endingsSchema } from '../../wire/alarm.ts';
import { endingAnswer } from '../../wire/alarm-codec.ts';
import { alarmsAnswer } from '../alarm-answer.ts';
import { AlarmStream } from '../alarm-stream.ts';
import type { AppParts } from '../app-parts.ts';
import { instantOf, iso } from '../window.ts';

const alarmsQuery = Type.Object({
  at: Type.Optional(Type.String({ format: 'date-time', description: 'For when; default: now.' })),
  host: Type.Optional(Type.String({ minLength: 1, description: 'Only this host.' })),
  level: Type.Optional(Type.Enum(['RED', 'AMBER'], { description: 'Only alarms of this level.' })),
});

const getAlarms = {
  config: { roles: ['query', 'watch'] },
  schema: {
    tags: ['alarms'],
    summary: 'What is over the line, worst first',
    querystring: alarmsQuery,
    response: { 200: alarmsSchema },
  },
} as const;

const getStream = {
  config: { roles: ['query', 'watch'] },
  exposeHeadRoute: false,
  schema: {
    tags: ['alarms'],
    summary:
      'Server-Sent Events: all alarms (event `alarms`, again every 30 s with their values by then), and each change (event `change`)',
    response: {
      200: { description: 'Events.', content: { 'text/event-stream': { schema: { type: 'string' } } } },
    },
  },
} as const;

const postEndings = {
  config: { access: 'read', isQuestion: true, roles: ['query', 'watch'] },
  schema: {
    tags: ['alarms'],
    summary: 'How alarms that are not there any more have ended',
    description: 'Of each that was asked for, by what is stored now. What nobody can know is left out.',
    body: endingsBodySchema,
    response: { 200: endingsSchema },
  },
} as const;

/** The alarms now or at any instant, and their changes as they happen. */
export function alarmRoutes({ alarms, clock, log, tokens, store }: AppParts): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get('/v1/alarms', getAlarms, async ({ query, reading }) => {
      const found =
        query.at === undefined
          ? untilAborted(alarms.now(), reading.signal)
          : alarms.at(instantOf(query.at, clock.now()), readsWithin(store, reading));
      return alarmsAnswer(await found, query);
    });

    app.post('/v1/alarms/endings', postEndings, async ({ body, reading }) => {
      const asked = body.alarms.flatMap(endedAlarm);
      const ended = await alarms.endings(asked, body.hosts, reading);
      return {
        at: iso(clock.now()),
        ended: ended.map(({ id, host, newestAt, ...ending }) => ({
          ...{ id, host, ...endingAnswer(ending) },
          ...(newestAt !== undefined && { newestAt: iso(newestAt) }),
        })),
      };
    });

    const stream = new AlarmStream(alarms, log, clock);
    app.addHook('preClose', async () => stream.close());
    app.get('/v1/alarms/stream', getStream, async ({ token, ip, raw }, reply) => {
      const who = token?.id ?? ip;
      stream.refuseTooMany(who);
      reply.hijack();
      const mayListen = () => token === null || token === tokens.own || isKnown(tokens.book(), token.id, clock.now());
      await stream.add(raw, reply.raw, who, mayListen);
    });
  };
}

/** None for what is no series. */
function endedAlarm({ id, host, series: key, basis = 'core' }: EndingsBody['alarms'][number]): EndedAlarm[] {
  const series = parseSeries(key);
  return series === null ? [] : [{ id, host, series, basis: basis as EndedAlarm['basis'] }];
}
