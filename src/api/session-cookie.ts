import type { FastifyRequest } from 'fastify';

/**
 * What a browser shows instead of a header: the token itself, which no script can read. So a session needs no memory
 * of the server's, and ends when the token does.
 */
const ageSeconds = 30 * 86_400;

/** Cookies know no ports: two servers of one name have one each. */
function cookieName({ host }: FastifyRequest): string {
  const port = /:(\d+)$/.exec(host)?.[1];
  return port === undefined ? 'amberwatch' : `amberwatch-${port}`;
}

/** The token of the cookie; null: there is none, or another site's page has sent it. */
export function sessionSecret(request: FastifyRequest): string | null {
  const found =
    new RegExp(`(?:^|;\\s*)${cookieName(request)}=([^;\\s]+)`).exec(request.headers.cookie ?? '')?.[1] ?? null;
  return found === null || !isOwnPage(request) ? null : found;
}

/** Browsers of today say where a request comes from; of others a change has to name this server as its origin. */
function isOwnPage({ headers, method, host }: FastifyRequest): boolean {
  const site = headers['sec-fetch-site'];
  if (site !== undefined) return site === 'same-origin' || (site === 'none' && isReading(method));
  if (headers.origin === undefined) return isReading(method);
  return URL.canParse(headers.origin) && new URL(headers.origin).host === host;
}

function isReading(method: string): boolean {
  return method === 'GET' || method === 'HEAD';
}

export function sessionCookie(request: FastifyRequest, secret: string | null): string {
  // Behind a proxy that ends TLS the browser's own word says that it came by TLS.
  const isTls = request.protocol === 'https' || request.headers.origin?.startsWith('https:') === true;
  const secure = isTls ? '; Secure' : '';
  const age = secret === null ? 0 : ageSeconds;
  return `${cookieName(request)}=${secret ?? ''}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${age}${secure}`;
}
