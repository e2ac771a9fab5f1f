import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import type { Alarm, Alarms } from '../core/alarm.ts';
import { changes } from '../core/change.ts';
import { type AlarmAnswer, type AlarmsAnswer, alarmsSchema } from '../core/schema.ts';
import { roundPercent } from '../core/snapshot.ts';
import type { AppParts } from './app.ts';
import { instantOf, iso } from './window.ts';

const alarmsQuery = Type.Object({
  at: Type.Optional(Type.String({ format: 'date-time', description: 'For when; default: now.' })),
  host: Type.Optional(Type.String({ minLength: 1, description: 'Only this host.' })),
  level: Type.Optional(Type.Enum(['RED', 'AMBER'], { description: 'Only alarms of this level.' })),
});
const streamPollMs = 2_000;
const heartbeatMs = 15_000;

/** The alarms now or at any instant, and their changes as they happen. */
export function alarmRoutes({ alarms, clock, log }: AppParts): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      '/v1/alarms',
      {
        schema: {
          tags: ['alarms'],
          summary: 'What is over the line, worst first',
          querystring: alarmsQuery,
          response: { 200: alarmsSchema },
        },
      },
      async ({ query }) => {
        const found = query.at === undefined ? await alarms.now() : await alarms.at(instantOf(query.at, clock.now()));
        return alarmsAnswer(found, query);
      },
    );

    const streams = new Set<() => void>();
    app.addHook('preClose', async () => {
      for (const end of streams) end();
    });
    app.get(
      '/v1/alarms/stream',
      {
        schema: {
          tags: ['alarms'],
          summary: 'Server-Sent Events: all alarms (event `alarms`), then each change (event `change`)',
          response: { 200: { type: 'string', description: 'text/event-stream' } },
        },
      },
      async (request, reply) => {
        reply.hijack();
        const { raw } = reply;
        raw.writeHead(200, {
          'content-type': 'text/event-stream',
          'cache-control': 'no-store',
          'x-accel-buffering': 'no',
        });
        const send = (event: string, data: unknown) => raw.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
        let before: Alarms | null = null;
        let busy = false;
        const poll = async () => {
          if (busy) return;
          busy = true;
          try {
            const now = await alarms.now();
            if (before === null) send('alarms', alarmsAnswer(now));
            else
              for (const change of changes(before, now))
                send('change', { ...change, alarm: change.alarm && alarmAnswer(change.alarm) });
            before = now;
          } catch (error) {
            log.warn({ err: error }, 'alarm stream: cannot evaluate');
          } finally {
            busy = false;
          }
        };
        const polling = setInterval(poll, streamPollMs);
        const heartbeat = setInterval(() => raw.write(': still here\n\n'), heartbeatMs);
        const end = () => {
          clearInterval(polling);
          clearInterval(heartbeat);
          streams.delete(end);
          raw.end();
        };
        streams.add(end);
        request.raw.on('close', end);
        await poll();
      },
    );
  };
}

/** Alarms as they go over the wire. The level stays that of all, whatever is asked for. */
export function alarmsAnswer(found: Alarms, only: { host?: string; level?: string } = {}): AlarmsAnswer {
  const wanted = found.alarms.filter(
    (alarm) => (only.host ?? alarm.host) === alarm.host && (only.level ?? alarm.level) === alarm.level,
  );
  return {
    at: iso(found.at),
    level: found.level,
    alarms: wanted.map(alarmAnswer),
    stale: found.stale
      .filter((host) => (only.host ?? host.host) === host.host)
      .map(({ host, lastSeen }) => ({ host, lastSeen: iso(lastSeen) })),
  };
}

function alarmAnswer(alarm: Alarm): AlarmAnswer {
  return { ...alarm, value: roundPercent(alarm.value), since: iso(alarm.since) };
}
