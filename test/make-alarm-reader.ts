import { AlarmReader } from '../src/alarms/alarm-reader.ts';
import type { Clock } from '../src/core/clock.ts';
import type { Store } from '../src/core/store.ts';
import type { Threshold } from '../src/core/threshold.ts';
import { ForgottenHosts } from '../src/hosts/forgotten-hosts.ts';
import { KnownHosts } from '../src/hosts/known-hosts.ts';
import { retentionMs } from './api/make-app.ts';
import { trustedClock } from './trusted-clock.ts';

/** One that starts afresh over a store, with forecasts a minute apart. */
export function makeAlarmReader(store: Store, clock: Clock, thresholds: readonly Threshold[]): AlarmReader {
  const serverClock = trustedClock();
  const forgotten = new ForgottenHosts(undefined, clock, 0);
  const hosts = new KnownHosts({ store, clock, serverClock, before: [], bootId: null, forgotten });
  const sources = { has: () => false, silent: () => ({ silent: [], nextAt: null }) };
  return new AlarmReader({ store, hosts, serverClock, clock, thresholds, retentionMs, stepMs: 60_000, sources });
}
