import { pino } from 'pino';
import { buildApp } from '../src/api/app.ts';
import type { AccessOptions } from '../src/api/guard.ts';
import type { Clock } from '../src/core/clock.ts';
import type { Store } from '../src/core/store.ts';
import { defaultThresholds } from '../src/core/threshold.ts';
import { openAccess } from '../test/open-access.ts';

export const realClock: Clock = { now: () => Date.now(), monotonic: () => performance.now() };

/** The real server in this process. */
export function buildServer(store: Store, access: AccessOptions = openAccess()) {
  return buildApp({
    store,
    clock: realClock,
    log: pino({ level: 'silent' }),
    thresholds: defaultThresholds,
    retentionMs: 2 * 86_400_000,
    horizonMs: 600_000,
    version: 'torture',
    access,
  });
}
