import { parseDuration } from '../../core/duration.ts';
import { MonitorError } from '../../core/error.ts';
import { type ServerRole, serverRoles, type WatchShare } from '../../core/server-role.ts';

export function parsePace(text: string, what: string, shortest: string): number {
  const pace = parseDuration(text, what);
  if (pace < parseDuration(shortest, what) || pace > 3_600_000) {
    throw new MonitorError('invalid', `${what} '${text}' must lie between ${shortest} and 1h`);
  }
  return pace;
}

/** Of a switch: as a flag it has no text of its own. */
export function parseSwitch(text: string, what: string): boolean {
  if (text !== 'true' && text !== 'false') throw new MonitorError('invalid', `${what} '${text}' must be true or false`);
  return text === 'true';
}

export function parseCount(text: string, what: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < 1 || count > 1_000_000)
    throw new MonitorError('invalid', `${what} '${text}' must be a whole number from 1 to 1000000`);
  return count;
}

const sizeUnits = { MB: 1e6, GB: 1e9, TB: 1e12, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 };

/** Bytes: `500MB`, `20GB`, `1.5TiB`. */
export function parseSize(text: string, what: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s?([MGT]i?B)$/.exec(text) ?? [];
  const bytes = Number(number) * (sizeUnits[unit as keyof typeof sizeUnits] ?? Number.NaN);
  if (!(bytes >= 100e6))
    throw new MonitorError('invalid', `${what} '${text}' must be a size of 100MB or more, such as 500MB or 20GB`);
  return Math.floor(bytes);
}

/** A step, a tenth of it, is whole milliseconds; it should hold a snapshot or more. */
export function parseHorizon(text: string): number {
  const horizon = parseDuration(text, 'horizon');
  if (horizon < 10_000 || horizon > 86_400_000 || horizon % 10 !== 0)
    throw new MonitorError('invalid', `horizon '${text}' must lie between 10s and 1d`);
  return horizon;
}

export function parseLogLevel(text: string): string {
  const levels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'];
  if (!levels.includes(text))
    throw new MonitorError('invalid', `log level '${text}' must be one of ${levels.join(', ')}`);
  return text;
}

/** `ingest,query` */
export function parseRoles(text: string): ServerRole[] {
  const asked = text.split(',').map((role) => role.trim());
  const unknown = asked.find((role) => !(serverRoles as readonly string[]).includes(role));
  if (unknown !== undefined)
    throw new MonitorError(
      'invalid',
      `role '${unknown}' is none of ${serverRoles.join(', ')}; several are written with commas`,
    );
  return serverRoles.filter((role) => asked.includes(role));
}

const mostShares = 1000;

/** `1/2` */
export function parseShare(text: string): WatchShare {
  const [, index = 0, of = 0] = (/^(\d{1,4})\/(\d{1,4})$/.exec(text) ?? []).map(Number);
  if (index < 1 || index > of || of > mostShares)
    throw new MonitorError('invalid', `watch share '${text}' must be such as 1/2: the first of two`);
  return { index, of };
}
