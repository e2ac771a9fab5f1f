import type { Socket } from 'node:net';
import type { TokenSource } from '../../access/admission.ts';
import { type AgentRights, rightsOfAddress, rightsOfToken } from '../../access/agent-admission.ts';
import { isKnown } from '../../access/token.ts';
import type { Clock } from '../../core/clock.ts';
import { MonitorError } from '../../core/error.ts';
import type { Ingest } from '../../ingest/ingest.ts';
import { ConditionReporter } from '../../platform/condition-reporter.ts';
import { canonicalIp, isInNetworks, isLoopbackAddress, type Network } from '../../platform/ip.ts';
import type { Log } from '../../platform/log.ts';
import type { TlsOptions } from '../app.ts';
import { AgentConnection } from './agent-connection.ts';
import { AgentListener } from './agent-listener.ts';
import { type Agent, AgentReadings, type AgentReadingsOptions } from './agent-readings.ts';
import { SampleQueue } from './sample-queue.ts';

export interface TcpAgentOptions extends AgentReadingsOptions {
  /** What each message is answered with once it is stored; null: nothing. */
  reply: string | null;
  /** Addresses that need no token, besides this machine's own. */
  allowed: readonly Network[];
}

export interface TcpAgentParts {
  ingest: Ingest;
  tokens: TokenSource;
  clock: Clock;
  log: Log;
  /** Of the HTTP server; agents may speak TLS on the same port as those that do not. */
  tls: TlsOptions | undefined;
}

/** Messages are taken in for so long at once, and then not for so long: two thirds of the time are everybody else's. */
const turnMs = 4;
const restMs = 8;
/** So often it is asked whether a token is still good. */
const tokenCheckMs = 1000;
const sayRefusedEveryMs = 60_000;
/** Connections that have yet to say who they are. */
const mostUnknown = 1000;
/** Of messages that have not ended, of all connections. */
const mostUnfinishedBytes = 64 * 1024 * 1024;
/** Turns of one connection whose replies wait for the store. */
const mostWaits = 100;
const longestLastTurnMs = 500;
interface ConnectedAgent extends Agent {
  /** Messages of this turn that want a reply. */
  owed: number;
  /** Turns whose replies wait for the store. */
  waits: number;
}

/**
 * Plain agents: each holds one TCP connection and sends JSON objects. Every number in them is a gauge, or a counter that
 * adds up, of the client that has sent it.
 */
export class TcpAgents {
  readonly readings: AgentReadings;
  readonly counts = { messages: 0, invalid: 0, refused: 0 };
  readonly #options: TcpAgentOptions;
  readonly #parts: TcpAgentParts;
  readonly #queue: SampleQueue;
  readonly #listener: AgentListener;
  readonly #unreadableTokens: ConditionReporter;
  /** Those that were let in. */
  readonly #agents = new Map<AgentConnection, ConnectedAgent>();
  readonly #ready = new Set<AgentConnection>();
  #isServing = false;
  #isClosed = false;
  #tokenTimer: NodeJS.Timeout | undefined;
  /** Connections that have yet to say who they are, or have been told that they may not be here. */
  #unknown = 0;
  /** Bytes of messages that have not ended, of all. */
  #unfinishedBytes = 0;
  readonly #unfinished = new Map<AgentConnection, number>();
  #saidRefusedAt = Number.NEGATIVE_INFINITY;

  constructor(options: TcpAgentOptions, parts: TcpAgentParts) {
    this.#options = options;
    this.#parts = parts;
    this.readings = new AgentReadings(options);
    this.#queue = new SampleQueue({
      write: async (samples) => (await parts.ingest.writeSamples(samples, null)).stored,
      monotonic: () => parts.clock.monotonic(),
      log: parts.log,
    });
    this.#listener = new AgentListener({
      tls: parts.tls,
      isFree: (socket) => this.#isFree(addressOf(socket)),
      begin: (socket, isCertified) => this.#begin(socket, isCertified),
    });
    this.#unreadableTokens = new ConditionReporter(() => parts.clock.monotonic());
  }

  /** Connections that are there and were let in. */
  get connected(): number {
    return this.#agents.size + this.#listener.silent;
  }

  get dropped(): number {
    return this.#queue.dropped;
  }

  /** @returns the port @throws Node's own error */
  async listen(address: { host: string; port: number }): Promise<number> {
    const port = await this.#listener.listen(address);
    this.#tokenTimer = setInterval(() => this.#checkTokens(), tokenCheckMs).unref();
    return port;
  }

  /** What was read is stored; agents come back by themselves. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#tokenTimer);
    this.#listener.stop();
    const end = this.#parts.clock.monotonic() + longestLastTurnMs;
    for (const connection of this.#ready) connection.read(() => this.#parts.clock.monotonic() >= end);
    await this.#queue.close();
    this.#listener.hangUp();
  }

  /** A certificate that was renewed, from the next connection on. */
  setSecureContext(tls: Partial<TlsOptions>): void {
    this.#listener.setSecureContext(tls);
  }

  #begin(socket: Socket, isCertified: boolean): void {
    const address = addressOf(socket);
    const rights = isCertified || this.#isFree(address) ? rightsOfAddress(address) : null;
    if (rights === null && this.#unknown >= mostUnknown) {
      socket.destroy();
      return;
    }
    if (rights === null) this.#unknown++;
    const connection: AgentConnection = new AgentConnection(socket, rights, {
      admit: (message) => this.#admit(message, address),
      entered: (given) => this.#enter(connection, socket, given),
      message: (message) => this.#take(connection, message),
      invalid: () => this.counts.invalid++,
      refused: (error) => {
        this.#leave(connection);
        this.#refused(address, error);
      },
      readable: () => this.#serveSoon(connection),
    });
    socket.once('close', () => {
      // What had come before is stored, whoever has hung up meanwhile.
      connection.read(() => false);
      if (rights === null) this.#unknown--;
      this.#account(connection, 0);
      this.#leave(connection);
    });
    connection.start();
  }

  #isFree(address: string): boolean {
    return isLoopbackAddress(address) || isInNetworks(address, this.#options.allowed);
  }

  #admit({ token }: Record<string, unknown>, address: string): AgentRights {
    const { tokens, clock } = this.#parts;
    return rightsOfToken(tokens, typeof token === 'string' ? token : '', address, clock.now());
  }

  #enter(connection: AgentConnection, socket: Socket, rights: AgentRights): void {
    const agent = {
      address: addressOf(socket),
      port: socket.remotePort ?? 0,
      rights,
      series: new Map(),
      count: 0,
      owed: 0,
      waits: 0,
    };
    this.#agents.set(connection, agent);
  }

  /** Once it has been sent away, or has gone. */
  #leave(connection: AgentConnection): void {
    this.#ready.delete(connection);
    const agent = this.#agents.get(connection);
    this.#agents.delete(connection);
    if (agent !== undefined) this.readings.leave(agent);
  }

  #take(connection: AgentConnection, message: Record<string, unknown>): void {
    const agent = this.#agents.get(connection);
    if (agent === undefined) return;
    this.counts.messages++;
    agent.owed++;
    this.readings.take(agent, message, this.#parts.clock.now(), (sample) => this.#queue.add(sample));
  }

  /** For each message since `from` a reply, once what it said is stored. Whoever waits for too many is told of no more. */
  #replyLater(connection: AgentConnection, from: number): void {
    const agent = this.#agents.get(connection);
    const { reply } = this.#options;
    if (agent === undefined || agent.owed === 0) return;
    const { owed } = agent;
    agent.owed = 0;
    if (reply === null || agent.waits >= mostWaits) return;
    agent.waits++;
    this.#queue.whenSettled(from, (isStored) => {
      agent.waits--;
      if (isStored) connection.reply(reply.repeat(owed));
    });
  }

  #refused(address: string, error: MonitorError): void {
    this.counts.refused++;
    const now = this.#parts.clock.monotonic();
    if (now - this.#saidRefusedAt < sayRefusedEveryMs) return;
    this.#saidRefusedAt = now;
    this.#parts.log.warn(`an agent at ${address} was sent away (${this.counts.refused} so far): ${error.message}`);
  }

  #serveSoon(connection: AgentConnection): void {
    this.#ready.add(connection);
    if (this.#isServing) return;
    this.#isServing = true;
    setImmediate(() => this.#serve());
  }

  /** Of each what has come, one after the other. */
  #serve(): void {
    this.#isServing = false;
    if (this.#isClosed) return;
    const { clock } = this.#parts;
    const end = clock.monotonic() + turnMs;
    const isOver = () => clock.monotonic() >= end;
    for (const connection of this.#ready) {
      this.#ready.delete(connection);
      if (this.#read(connection, isOver)) this.#ready.add(connection);
      if (isOver()) break;
    }
    if (this.#ready.size === 0) return;
    this.#isServing = true;
    setTimeout(() => this.#serve(), restMs);
  }

  #read(connection: AgentConnection, isOver: () => boolean): boolean {
    const from = this.#queue.added;
    const hasMore = connection.read(isOver);
    this.#account(connection, connection.unfinishedBytes);
    if (this.#unfinishedBytes > mostUnfinishedBytes) connection.refuse(tooMuchUnfinished());
    this.#replyLater(connection, from);
    return hasMore;
  }

  #account(connection: AgentConnection, bytes: number): void {
    this.#unfinishedBytes += bytes - (this.#unfinished.get(connection) ?? 0);
    if (bytes > 0) this.#unfinished.set(connection, bytes);
    else this.#unfinished.delete(connection);
  }

  /** One that was revoked is not good until its agent hangs up. */
  #checkTokens(): void {
    const { tokens, clock, log } = this.#parts;
    const now = clock.now();
    const withToken = [...this.#agents].filter(([, { rights }]) => rights.token !== null);
    if (withToken.length === 0) return;
    try {
      const book = tokens.book();
      for (const [connection, { rights }] of withToken)
        if (rights.token !== null && !isKnown(book, rights.token.id, now))
          connection.refuse(new MonitorError('unauthorized', `token ${rights.token.id} is not valid any more`));
      this.#unreadableTokens.end();
    } catch (error) {
      // Those that were let in stay until it can be read again.
      this.#unreadableTokens.begin(() => log.warn({ err: error }, 'agents: cannot look at the tokens'));
    }
  }
}

function tooMuchUnfinished(): MonitorError {
  const message = `agents have begun messages of ${mostUnfinishedBytes} bytes together and not ended them; send shorter ones`;
  return new MonitorError('too_large', message);
}

function addressOf({ remoteAddress = '' }: Socket): string {
  return canonicalIp(remoteAddress) ?? remoteAddress;
}
