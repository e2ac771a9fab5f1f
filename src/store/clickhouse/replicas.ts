import type { ClickHouseClient } from '@clickhouse/client';
import { MonitorError } from '../../core/error.ts';
import { refusalOf } from './failure.ts';

const lookEveryMs = 1000;
/** One that has been stopped accepts connections and says nothing: only this tells it from one that is busy. */
const longestLookMs = 1000;
/** One that is further behind tells of a past that others know to be over, or lacks what one that has gone had. */
const farBehindSeconds = 2;
/** Since 1970: it has been started, and has not joined the others yet. */
const notJoinedSeconds = 365 * 86_400;

/** So long it is waited for one that has yet to join the others. */
const longestJoiningMs = 60_000;

/** The worse, the later it is asked. */
const ranks = ['good', 'readonly', 'behind', 'new', 'joining', 'away'] as const;
type Rank = (typeof ranks)[number];

export interface Replica {
  base: string;
  client: ClickHouseClient;
  /** Of its own: it waits for no question. */
  looking: ClickHouseClient;
  rank: Rank;
  /** Aborted once it is away: whoever waits for it asks another. */
  underWay: Set<AbortController>;
}

/**
 * Which of several replicas is asked: the same one as long as none is better. Each is looked at once a second, so that
 * one that has been stopped is found within three. A single one is asked whatever it is like.
 */
export class Replicas {
  readonly #replicas: readonly Replica[];
  #current: Replica;
  #timer: NodeJS.Timeout | null = null;
  #looking: Promise<unknown> | null = null;
  #hasLooked = false;
  /** Monotonic: since when none is there but such as have yet to join. */
  #joiningSince: number | null = null;

  /** @param clients at least one */
  constructor(clients: readonly Pick<Replica, 'base' | 'client' | 'looking'>[]) {
    this.#replicas = clients.map((each) => ({ ...each, rank: 'good', underWay: new Set() }));
    this.#current = this.#replicas[0] as Replica;
  }

  /** The best first. */
  async inOrder(): Promise<readonly Replica[]> {
    if (this.#replicas.length === 1) return this.#replicas;
    this.#timer ??= setInterval(() => this.#look(), lookEveryMs).unref();
    if (!this.#hasLooked) await this.#look();
    return [this.#current, ...this.#replicas.filter((each) => each !== this.#current)];
  }

  /**
   * Those that tell what the others would. One that has just been started would tell of hosts that have long been
   * silent: for a minute it is not asked; then the others may be gone for good.
   * @throws MonitorError `unavailable` where there is no other
   */
  async upToDate(): Promise<readonly Replica[]> {
    const all = await this.inOrder();
    // Nobody knows more where nobody has had anything yet.
    if (all.every(({ rank }) => rank === 'new')) return all;
    const isJoining = ({ rank }: Replica) => rank === 'joining' || rank === 'new';
    const found = all.filter((each) => !isJoining(each));
    if (found.some(({ rank }) => rank !== 'away') || found.length === all.length) {
      this.#joiningSince = null;
      return found;
    }
    this.#joiningSince ??= performance.now();
    if (performance.now() - this.#joiningSince > longestJoiningMs) return all;
    const joining = all.filter(isJoining).map(({ base }) => base);
    throw new MonitorError(
      'unavailable',
      `ClickHouse at ${joining.join(', ')} has yet to join the replicas that are away; what it has is not told meanwhile`,
    );
  }

  /** It has not answered: another is asked first until it has been looked at. */
  failed(replica: Replica): void {
    if (this.#replicas.length > 1) this.#set(replica, 'away');
  }

  /** Whether one that is known takes no part now. */
  isDegraded(): boolean {
    return this.#replicas.some(({ rank }) => rank !== 'good');
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  #look(): Promise<unknown> {
    this.#looking ??= Promise.all(
      this.#replicas.map(async (replica) => {
        this.#set(replica, await rankOf(replica.looking));
        if (replica.rank === 'away') this.#giveUp(replica);
      }),
    ).finally(() => {
      this.#looking = null;
      this.#hasLooked = true;
    });
    return this.#looking;
  }

  /** Others may still wait for what it has begun. */
  #giveUp(replica: Replica): void {
    for (const work of replica.underWay) work.abort(new Error('it does not answer'));
  }

  #set(replica: Replica, rank: Rank): void {
    replica.rank = rank;
    const placeOf = (each: Replica) => ranks.indexOf(each.rank);
    for (const each of this.#replicas) if (placeOf(each) < placeOf(this.#current)) this.#current = each;
  }
}

/** Away is who twice says nothing: a pause of a second is none. */
async function rankOf(client: ClickHouseClient): Promise<Rank> {
  return (await lookAt(client)) ?? (await lookAt(client)) ?? 'away';
}

/** One that has just been started is years behind until it has joined the others, and says nothing else of it. */
async function lookAt(client: ClickHouseClient): Promise<Rank | null> {
  try {
    const row = await rowOf<'delay' | 'readonly'>(
      client,
      `SELECT max(absolute_delay) AS delay, max(is_readonly) AS readonly
        FROM system.replicas WHERE database = currentDatabase()`,
    );
    const delay = Number(row?.delay ?? 0);
    if (delay > notJoinedSeconds) return (await isEmpty(client)) ? 'new' : 'joining';
    if (delay > farBehindSeconds) return 'behind';
    return Number(row?.readonly ?? 0) > 0 ? 'readonly' : 'good';
  } catch (error) {
    // What it refuses it has heard.
    return refusalOf(error) === null ? null : 'good';
  }
}

/** Its tables are made, and nothing has been stored in them. */
async function isEmpty(client: ClickHouseClient): Promise<boolean> {
  const sql = 'SELECT count() AS parts FROM system.parts WHERE database = currentDatabase() AND active';
  return Number((await rowOf<'parts'>(client, sql))?.parts ?? 0) === 0;
}

/** What a look asks for. */
async function rowOf<Column extends string>(client: ClickHouseClient, query: string) {
  const abort_signal = AbortSignal.timeout(longestLookMs);
  const answer = await client.query({ query, format: 'JSONEachRow', abort_signal });
  return (await answer.json<Record<Column, string | number | null>>())[0];
}

/** Work that ends once the replica is away, or whoever wants it has left. */
export async function onReplica<T>(
  { client, underWay }: Replica,
  work: (client: ClickHouseClient, signal: AbortSignal) => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  const controller = new AbortController();
  const leave = () => controller.abort(signal?.reason);
  underWay.add(controller);
  signal?.addEventListener('abort', leave, { once: true });
  try {
    return await work(client, controller.signal);
  } finally {
    underWay.delete(controller);
    signal?.removeEventListener('abort', leave);
  }
}
