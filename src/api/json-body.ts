import { gunzipSync } from 'node:zlib';
import type { FastifyInstance } from 'fastify';
import { MonitorError, messageOf } from '../core/error.ts';

/**
 * JSON bodies, plain or gzip. Decoding stops at the limit, so a bomb costs no more than an ordinary body.
 * It is done at once and not in a stream: for the size of a snapshot the streams cost several times what
 * the decoding does.
 */
export function addJsonBody(app: FastifyInstance, limitBytes: number): void {
  const parseJson = app.getDefaultJsonParser('error', 'error');
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    try {
      const encoding = request.headers['content-encoding'] ?? 'identity';
      void parseJson(request, decode(body, encoding, limitBytes).toString(), done);
    } catch (error) {
      done(error as Error);
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
