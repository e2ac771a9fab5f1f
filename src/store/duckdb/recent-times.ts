/** How many of a host's newest snapshot times are remembered: 20 minutes at 10 s. */
export const rememberedTimes = 128;

interface HostTimes {
  /** Ascending. */
  times: number[];
  /** No older snapshot than those in `times` exists. */
  complete: boolean;
}

/**
 * Tells a repeated snapshot from a new one without asking the database in the usual case: the newest
 * times of each host are in memory, and only an older one has to be looked up.
 */
export class RecentTimes {
  readonly #hosts = new Map<number, HostTimes>();

  /** `times` are the host's newest, at most `rememberedTimes`, in any order. */
  load(host: number, times: readonly number[]): void {
    this.#hosts.set(host, { times: [...times].sort((a, b) => a - b), complete: times.length < rememberedTimes });
  }

  /** `ask`: only the database knows. */
  lookUp(host: number, time: number): 'new' | 'stored' | 'ask' {
    const known = this.#hosts.get(host);
    if (!known) return 'new';
    if (known.times.includes(time)) return 'stored';
    return known.complete || time > (known.times[0] ?? Infinity) ? 'new' : 'ask';
  }

  add(host: number, time: number): void {
    const known = this.#hosts.get(host) ?? { times: [], complete: true };
    this.#hosts.set(host, known);
    const { times } = known;
    if (times.length === 0 || time > (times.at(-1) as number)) times.push(time);
    else
      times.splice(
        times.findIndex((other) => other > time),
        0,
        time,
      );
    if (times.length > rememberedTimes) {
      times.shift();
      known.complete = false;
    }
  }

  /** After a write with an unknown outcome: from now on the database is asked about this host. */
  distrust(host: number): void {
    this.#hosts.set(host, { times: [], complete: false });
  }
}
