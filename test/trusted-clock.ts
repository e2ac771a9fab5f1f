import { ServerClock } from '../src/hosts/server-clock.ts';

/** One that nothing ever puts in doubt. */
export const trustedClock = () => new ServerClock({ now: () => 0, monotonic: () => 0 }, null);
