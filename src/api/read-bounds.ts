import type { FastifyInstance, FastifyRequest } from 'fastify';
import { formatDuration } from '../core/duration.ts';
import { MonitorError } from '../core/error.ts';
import type { Reading } from '../core/store.ts';
import { forManyReads } from '../platform/deadline.ts';
import { onceEnded } from './once-ended.ts';

/** The bounds of what is read for one request. */
export type RequestReading = Reading & { signal: AbortSignal };

declare module 'fastify' {
  interface FastifyContextConfig {
    /** It only asks, although it is no GET: what it reads is bounded as if it were. */
    isQuestion?: boolean;
    /** What makes a question to this route cheaper, for who has asked too much. */
    cheaper?: string;
  }
  interface FastifyRequest {
    reading: RequestReading;
  }
}

const never = forManyReads(new AbortController()).signal;

/** Nothing is read for longer than this, nor for somebody who has left. */
export function addReadBounds(app: FastifyInstance, timeoutMs: number): void {
  app.decorateRequest('reading');
  app.addHook('onRequest', async (request, reply) => {
    if (!isQuestion(request)) {
      request.reading = { signal: never };
      return;
    }
    const controller = forManyReads(new AbortController());
    request.reading = { signal: controller.signal };
    const timer = setTimeout(() => controller.abort(tookTooLong(request, timeoutMs)), timeoutMs);
    onceEnded(request.raw, reply.raw, () => {
      clearTimeout(timer);
      if (!reply.raw.writableFinished) controller.abort(hasLeft());
    });
  });
}

function isQuestion({ method, routeOptions }: FastifyRequest): boolean {
  return method === 'GET' || method === 'HEAD' || routeOptions.config?.isQuestion === true;
}

function tookTooLong(request: FastifyRequest, timeoutMs: number): MonitorError {
  const path = request.url.split('?', 1)[0];
  const cheaper = request.routeOptions.config?.cheaper ?? 'less at once, or later';
  return new MonitorError(
    'timeout',
    `${request.method} ${path} was not done within ${formatDuration(timeoutMs)} and was stopped; ask for ${cheaper}, or let the server take longer with --query-timeout`,
  );
}

function hasLeft(): MonitorError {
  return new MonitorError('unavailable', 'the client has closed the connection');
}
