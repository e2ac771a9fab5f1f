import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type ErrorCode, MonitorError } from '../core/error.ts';
import { errorStatus } from '../wire/error-status.ts';

const titles: Record<ErrorCode, string> = {
  invalid: 'The request is not valid',
  unauthorized: 'No valid token',
  forbidden: 'Not allowed',
  not_found: 'Not found',
  conflict: 'Conflict',
  too_large: 'Too large',
  unsupported: 'Unsupported media type',
  too_early: 'Too early',
  rate_limited: 'Too many requests',
  internal: 'Internal error',
  unavailable: 'Unavailable',
  timeout: 'Timed out',
};

/** RFC 9457 for every error of every route. Only here do error codes become HTTP statuses. */
export function addProblems(app: FastifyInstance): void {
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const known = toMonitorError(error, request.routeOptions.bodyLimit);
    if (known.code === 'internal') request.log.error({ err: error }, 'request failed');
    // The rest of a refused body may still be on its way: without this, keep-alive would take it for a request.
    if (known.code === 'too_large') void reply.header('connection', 'close');
    return sendProblem(reply, known);
  });
  app.setNotFoundHandler((request: FastifyRequest, reply) =>
    sendProblem(
      reply,
      new MonitorError('not_found', `there is no ${request.method} ${request.url.split('?', 1)[0]}; see /docs`),
    ),
  );
}

function sendProblem(reply: FastifyReply, error: MonitorError): FastifyReply {
  const { code, message, retryAfterSeconds } = error;
  const status = errorStatus[code];
  const retryAfter = retryAfterSeconds ?? (status === 503 || status === 429 ? 5 : undefined);
  if (retryAfter !== undefined) void reply.header('retry-after', String(retryAfter));
  // Serialised here: a route's response schema knows only its own answers.
  return reply
    .code(status)
    .type('application/problem+json; charset=utf-8')
    .serializer(JSON.stringify)
    .send({ type: 'about:blank', title: titles[code], status, code, detail: message });
}

/** Whatever was thrown, in our own words; the text of what nobody foresaw is hidden. */
export function toMonitorError(error: FastifyError, bodyLimitBytes = 1024 * 1024): MonitorError {
  if (error instanceof MonitorError) return error;
  if (error.validation) return validationError(error);
  const status = error.statusCode ?? 500;
  if (status === 413)
    return new MonitorError(
      'too_large',
      `the body is larger than ${bodyLimitBytes / 1024 / 1024} MiB; send less at once`,
    );
  if (status === 415) return new MonitorError('unsupported', error.message);
  if (status === 429) return new MonitorError('rate_limited', 'too many requests of yours; send again in 5 s');
  if (status === 408) return new MonitorError('timeout', 'the request took too long to arrive');
  if (status >= 400 && status < 500) return new MonitorError('invalid', error.message);
  return new MonitorError('internal', 'something went wrong here; the server log says what', { cause: error });
}

function validationError(error: FastifyError): MonitorError {
  const tooMany = error.validation?.some((problem) => problem.keyword === 'maxItems');
  const unknown = error.validation?.find((problem) => problem.keyword === 'additionalProperties');
  const which = unknown && `: ${JSON.stringify(unknown.params.additionalProperty)}; see /docs`;
  return new MonitorError(tooMany ? 'too_large' : 'invalid', `${error.message}${which ?? ''}`);
}
