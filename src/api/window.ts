import Type, { type Static } from 'typebox';
import { formatDuration, parseDuration } from '../core/duration.ts';
import { MonitorError } from '../core/error.ts';
import type { Reads, TimeWindow, UsageFilter } from '../core/store.ts';
import { canonicalIp } from '../platform/ip.ts';

const longestWindowMs = 366 * 86_400_000;

export const windowQuery = Type.Object({
  window: Type.Optional(Type.String({ description: 'How far back, such as 30s, 5m or 2h.', default: '5m' })),
  at: Type.Optional(Type.String({ format: 'date-time', description: 'Up to when; default: now.' })),
  host: Type.Optional(Type.String({ minLength: 1, description: 'Only this host.' })),
  ip: Type.Optional(
    Type.String({ minLength: 1, description: 'Only snapshots that carried this address; dots, colons or hyphens.' }),
  ),
  process: Type.Optional(Type.String({ minLength: 1, description: 'Only this process name.' })),
});
export type WindowQuery = Static<typeof windowQuery>;

/** @throws MonitorError `invalid` */
export function instantOf(text: string | undefined, now: number): number {
  if (text === undefined) return now;
  const time = Date.parse(text);
  if (Number.isNaN(time))
    throw new MonitorError('invalid', `at '${text}' is not an instant; write it like 2026-11-20T12:00:00Z`);
  return time;
}

/** @throws MonitorError `invalid`, also for a window longer than `longestMs` */
export function windowOf(
  query: Pick<WindowQuery, 'at' | 'window'>,
  now: number,
  longestMs = longestWindowMs,
): TimeWindow {
  const to = instantOf(query.at, now);
  const length = parseDuration(query.window ?? '5m', 'window');
  if (length > longestMs) {
    throw new MonitorError('invalid', `window '${query.window}' is longer than ${formatDuration(longestMs)}`);
  }
  return { from: to - length, to };
}

/**
 * Which hosts, addresses and processes a query is about.
 * @throws MonitorError `invalid` for an address that is none
 */
export function filterOf({ host, ip, process }: Pick<WindowQuery, 'host' | 'ip' | 'process'>): UsageFilter {
  return {
    ...(host !== undefined && { hosts: [host] }),
    ...(ip !== undefined && { ip: addressOf(ip) }),
    ...(process !== undefined && { process }),
  };
}

function addressOf(text: string): string {
  const ip = canonicalIp(text);
  if (ip === null)
    throw new MonitorError('invalid', `'${text}' is not an IPv4 or IPv6 address; write it like 10.0.0.5 or 10-0-0-5`);
  return ip;
}

/**
 * After an answer without rows: of an address that a host has now there is nothing to tell, of another nothing is known.
 * @throws MonitorError `not_found` for an address that neither the window nor any host knows
 */
export async function refuseUnknownAddress({ ip }: UsageFilter, store: Reads<[]>, window: TimeWindow): Promise<void> {
  if (ip === undefined || (await store.latest(window.to)).some((header) => header.ip === ip)) return;
  if ((await store.page({ ...window, ip, limit: 1, skip: 0 })).time.length > 0) return;
  throw new MonitorError(
    'not_found',
    `no host has reported with the address ${ip}; GET /v1/hosts lists the addresses hosts have now`,
  );
}

export function iso(time: number): string {
  // Years beyond what a Date holds cannot be asked for, but a window may reach below them.
  return new Date(Math.max(0, time)).toISOString();
}
