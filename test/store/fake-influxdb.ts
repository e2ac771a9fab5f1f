import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { gunzipSync } from 'node:zlib';

export interface Asked {
  method: string;
  /** With its query. */
  path: string;
  body: string;
  headers: IncomingHttpHeaders;
}

/** What a version answers: a status and JSON; undefined: as if all were well. */
export type Answers = (asked: Asked) => [status: number, body?: unknown] | undefined;

/**
 * An HTTP server that answers as InfluxDB of a version does: for the versions that no package has, with what was
 * recorded of them by hand.
 */
export async function startFakeInfluxdb(version: string, answers: Answers, tls?: { cert: string; key: string }) {
  const asked: Asked[] = [];
  const answer: RequestListener = (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      const sent = Buffer.concat(chunks);
      const body = (headers['content-encoding'] === 'gzip' ? gunzipSync(sent) : sent).toString();
      const one = { method, path: url, body, headers };
      asked.push(one);
      const [status, answered] = answers(one) ?? usual(one);
      response.setHeader('x-influxdb-version', version);
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(answered === undefined ? '' : JSON.stringify(answered));
    });
  };
  const server = (tls ? createSecureServer(tls, answer) : createServer(answer)).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  const close = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { url: `influxdb${tls ? 's' : ''}://127.0.0.1:${port}/monitoring`, asked, close };
}

function usual({ path, body }: Asked): [number, unknown?] {
  if (path.startsWith('/query') && new URLSearchParams(body).get('q')?.includes('FROM "tried"'))
    return [200, { results: [{ series: [{ columns: ['time', 'count'], values: [[0, 1]] }] }] }];
  if (path.startsWith('/query')) return [200, { results: [{}, {}] }];
  if (path.startsWith('/ping') || path.startsWith('/write')) return [204];
  return [404, { code: 'not found', message: 'not found' }];
}
