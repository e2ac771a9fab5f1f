import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import { isKnown } from '../access/token.ts';
import { readsWithin } from '../core/store.ts';
import { untilAborted } from '../platform/shared-work.ts';
import { alarmsSchema } from '../wire/alarm.ts';
import { alarmsAnswer } from './alarm-answer.ts';
import { AlarmStream } from './alarm-stream.ts';
import type { AppParts } from './app-parts.ts';
import { instantOf } from './window.ts';

const alarmsQuery = Type.Object({
  at: Type.Optional(Type.String({ format: 'date-time', description: 'For when; default: now.' })),
  since: Type.Optional(
    Type.String({ format: 'date-time', description: 'Also what was there then or later and has ended, and how.' }),
  ),
  host: Type.Optional(Type.String({ minLength: 1, description: 'Only this host.' })),
  level: Type.Optional(Type.Enum(['RED', 'AMBER'], { description: 'Only alarms of this level.' })),
});

const getAlarms = {
  schema: {
    tags: ['alarms'],
    summary: 'What is over the line, worst first',
    querystring: alarmsQuery,
    response: { 200: alarmsSchema },
  },
};

const getStream = {
  exposeHeadRoute: false,
  schema: {
    tags: ['alarms'],
    summary: 'Server-Sent Events: all alarms (event `alarms`), then each change (event `change`)',
    response: {
      200: { description: 'Events.', content: { 'text/event-stream': { schema: { type: 'string' } } } },
    },
  },
};

/** The alarms now or at any instant, and their changes as they happen. */
export function alarmRoutes({ alarms, clock, log, tokens, store }: AppParts): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get('/v1/alarms', getAlarms, async ({ query, reading }) => {
      const reads = readsWithin(store, reading);
      const found = await (query.at === undefined
        ? untilAborted(alarms.now(), reading.signal)
        : alarms.at(instantOf(query.at, clock.now()), reads));
      const since = query.since === undefined ? null : instantOf(query.since, clock.now());
      const ended = since === null ? undefined : await alarms.endedBetween(since, found, reads);
      return alarmsAnswer(found, query, ended);
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
