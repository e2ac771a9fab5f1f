import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

/** What the page is made of, and the views that it shows under addresses of their own. */
const files = {
  'index.html': 'text/html; charset=utf-8',
  'page.js': 'text/javascript; charset=utf-8',
  'page.css': 'text/css; charset=utf-8',
  'favicon.svg': 'image/svg+xml',
} as const;
type FileName = keyof typeof files;
const views = ['/', '/hosts', '/hosts/*', '/processes', '/compare', '/alarms', '/accuracy', '/slas', '/slas/*'];

/** Nothing from elsewhere, nothing inline, no text that becomes markup. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

interface PageFile {
  body: Buffer;
  gzipped: Buffer;
  etag: string;
}

/** @param folder of the page as it was built; where it is missing `/` leads to the documentation */
export function addPage(app: FastifyInstance, folder: string | undefined): void {
  const options = { schema: { hide: true }, config: { access: 'public' } } as const;
  const read = new Map<FileName, PageFile>();
  const file = (name: FileName): PageFile => {
    const known = read.get(name) ?? readPageFile(join(folder as string, name));
    read.set(name, known);
    return known;
  };
  if (folder === undefined || !isThere(() => file('index.html'))) {
    app.get('/', options, (_request, reply) => reply.redirect('/docs'));
    return;
  }
  for (const view of views) app.get(view, options, (request, reply) => send('index.html', file, request, reply));
  for (const name of ['page.js', 'page.css', 'favicon.svg'] as const)
    app.get(`/web/${name}`, options, (request, reply) => send(name, file, request, reply));
}

function isThere(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch {
    return false;
  }
}

function readPageFile(path: string): PageFile {
  const body = readFileSync(path);
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
  return { body, gzipped: gzipSync(body), etag };
}

function send(name: FileName, file: (name: FileName) => PageFile, request: FastifyRequest, reply: FastifyReply) {
  const { body, gzipped, etag } = file(name);
  void reply
    .type(files[name])
    .header('content-security-policy', contentSecurityPolicy)
    .header('cache-control', 'no-cache')
    .header('etag', etag)
    .header('vary', 'accept-encoding');
  if (request.headers['if-none-match'] === etag) return reply.code(304).send();
  const takesGzip = /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''));
  return takesGzip ? reply.header('content-encoding', 'gzip').send(gzipped) : reply.send(body);
}
