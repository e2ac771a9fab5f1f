import { uptime } from 'node:os';
import type { Clock } from '../core/clock.ts';

export const clock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sinceBoot: () => uptime() * 1000,
};
