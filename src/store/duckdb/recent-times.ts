/** How many of a host's newest snapshot times are remembered: 20 minutes at 10 s. */
export const rememberedTimes = 128;

interface HostTimes {
  /** Ascending. */
  times: number[];
  /** Above this, what is not in `times` does not exist; at or below it only the database knows. */
  floor: number;
}

/**
 * Tells a repeated snapshot from a new one without asking the database in the usual case: the newest
 * times of each host are in memory, and only an older one has to be looked up.
 */
export class RecentTimes {
  readonly #hosts = new Map<number, HostTimes>();

  /** `times` are the host's newest, at most `rememberedTimes`, in any order. */
  load(host: number, times: readonly number[]): void {
    const sorted = [...times].sort((a, b) => a - b);
    const complete = sorted.length < rememberedTimes;
    this.#hosts.set(host, { times: sorted, floor: complete ? -Infinity : (sorted[0] ?? -Infinity) });
  }

  /** `ask`: only the database knows. */
  lookUp(host: number, time: number): 'new' | 'stored' | 'ask' {
    const known = this.#hosts.get(host);
    if (!known) return 'new';
    if (known.times.includes(time)) return 'stored';
    return time > known.floor ? 'new' : 'ask';
  }

  add(host: number, time: number): void {
    const known = this.#hosts.get(host) ?? { times: [], floor: -Infinity };
    this.#hosts.set(host, known);
    const { times } = known;
    if (times.length === 0 || time > (times.at(-1) as number)) times.push(time);
    else
      times.splice(
        times.findIndex((other) => other > time),
        0,
        time,
      );
    if (times.length > rememberedTimes) known.floor = Math.max(known.floor, times.shift() as number);
  }

  /** After a write of `failed` with an unknown outcome the database is asked about all up to it. */
  distrust(host: number, failed: number): void {
    const known = this.#hosts.get(host);
    const floor = Math.max(failed, known?.floor ?? -Infinity, known?.times.at(-1) ?? -Infinity);
    this.#hosts.set(host, { times: [], floor });
  }

  /** Nothing is stored of this host any more. */
  forget(host: number): void {
    this.#hosts.delete(host);
  }
}
