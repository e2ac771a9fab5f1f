import { gunzipSync } from 'node:zlib';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { MonitorError, messageOf } from '../core/error.ts';
import type { TakeTurn } from './large-body-turns.ts';

/**
 * JSON bodies, plain or gzip. Decoding stops at the limit, so a bomb costs no more than an ordinary body.
 * It is done at once and not in a stream: for the size of a snapshot the streams cost several times what
 * the decoding does.
 */
export function addJsonBody(app: FastifyInstance, limitBytes: number, takeTurn: TakeTurn): void {
  const parseJson = app.getDefaultJsonParser('error', 'error');
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, async (request: FastifyRequest, body: Buffer) => {
    const leave = await takeTurn(request, body);
    try {
      const encoding = request.headers['content-encoding'] ?? 'identity';
      const text = decode(body, encoding, limitBytes).toString();
      return await new Promise((resolve, reject) => {
        void parseJson(request, text, (error, value) => (error ? reject(error) : resolve(value)));
      });
    } finally {
      leave();
    }
  });
}

function decode(body: Buffer, encoding: string, limitBytes: number): Buffer {
  if (encoding === 'identity') return body;
  if (encoding !== 'gzip')
    throw new MonitorError('invalid', `content-encoding '${encoding}' is not understood; send gzip or none`);
  try {
    return gunzipSync(body, { maxOutputLength: limitBytes });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
      throw new MonitorError('too_large', 'the body is larger than 1 MiB when decoded; send fewer snapshots at once');
    }
    throw new MonitorError('invalid', `the body is not gzip, as content-encoding says: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
