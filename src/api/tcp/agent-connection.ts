import type { Socket } from 'node:net';
import type { AgentRights } from '../../access/agent-admission.ts';
import { MonitorError, messageOf } from '../../core/error.ts';
import { JsonObjectStream, longestObjectBytes, type StreamedObject } from '../../wire/json-object-stream.ts';

/** Before it is known who speaks: a token and what stands around it. */
const longestGreetingBytes = 4096;
/** Who has not said who it is within this is sent away. */
const greetingMs = 10_000;
/** Invalid in a row: who sends so much of it speaks something else. */
const mostInvalid = 1000;
/** Of a client that reads no replies no more than this is kept for it. */
const mostUnreadBytes = 64 * 1024;
/** Who is sent away has so long to read why. */
const farewellMs = 1000;

export interface AgentHandlers {
  /** Whose first message this is. @throws MonitorError when it is not let in by it */
  admit(message: Record<string, unknown>): AgentRights;
  /** It has been let in. */
  entered(rights: AgentRights): void;
  message(message: Record<string, unknown>): void;
  invalid(): void;
  /** There is something to read: `read` does it. */
  readable(): void;
  /** It was sent away, and why. */
  refused(error: MonitorError): void;
}

/** One connection of an agent: its bytes as messages, once it has been let in. */
export class AgentConnection {
  readonly #socket: Socket;
  readonly #handlers: AgentHandlers;
  readonly #rights: AgentRights | null;
  readonly #objects = new JsonObjectStream(longestGreetingBytes);
  /** What is left of the piece that was read last. */
  #rest: Generator<StreamedObject> | null = null;
  #greetingTimer: NodeJS.Timeout | undefined;
  #isIn = false;
  #isRefused = false;
  #hasSpoken = false;
  #replies = '';
  #invalidInARow = 0;

  /** @param rights null: its first message has to say who it is */
  constructor(socket: Socket, rights: AgentRights | null, handlers: AgentHandlers) {
    this.#socket = socket;
    this.#handlers = handlers;
    this.#rights = rights;
  }

  /** Of a message that has not ended yet. */
  get unfinishedBytes(): number {
    return this.#isRefused ? 0 : this.#objects.unfinishedBytes;
  }

  start(): void {
    if (this.#rights !== null) this.#enter(this.#rights);
    else this.#greetingTimer = setTimeout(() => this.refuse(noGreeting()), greetingMs);
    // Paused: what is not read stays with the kernel, and with who sends it.
    this.#socket.on('readable', this.#handlers.readable);
    this.#socket.on('close', () => clearTimeout(this.#greetingTimer));
  }

  /**
   * Takes in what has come so far, until its turn is over.
   * @returns whether there is more of it
   */
  read(isOver: () => boolean): boolean {
    try {
      return this.#read(isOver);
    } catch (error) {
      this.refuse(error instanceof MonitorError ? error : new MonitorError('internal', messageOf(error)));
      return false;
    }
  }

  /** Replies of one turn go out together. */
  reply(text: string): void {
    if (this.#replies === '') setImmediate(() => this.#sendReplies());
    this.#replies += text;
  }

  /** Says why, for whoever looks, and hangs up. */
  refuse(error: MonitorError): void {
    if (this.#isRefused) return;
    this.#isRefused = true;
    this.#rest = null;
    clearTimeout(this.#greetingTimer);
    this.#handlers.refused(error);
    this.#socket.end(`${JSON.stringify({ code: error.code, detail: error.message })}\n`);
    this.#socket.destroySoon();
    setTimeout(() => this.#socket.destroy(), farewellMs).unref();
  }

  #read(isOver: () => boolean): boolean {
    for (;;) {
      this.#rest ??= this.#nextPiece();
      // Only now will the socket tell of more, or of its end.
      if (this.#rest === null) return false;
      this.#takeNext(this.#rest);
      if (isOver()) return true;
    }
  }

  #takeNext(rest: Generator<StreamedObject>): void {
    const { done, value } = rest.next();
    if (done) {
      this.#rest = null;
      if (this.#objects.isTooLong) this.refuse(tooLong(this.#objects.longestBytes));
    } else if (value === 'invalid') this.#invalid();
    else this.#take(value.object);
  }

  #nextPiece(): Generator<StreamedObject> | null {
    const piece = this.#isRefused ? null : (this.#socket.read() as Buffer | null);
    return piece === null ? null : this.#objects.push(piece);
  }

  #sendReplies(): void {
    const { writable, writableLength } = this.#socket;
    if (writable && !this.#isRefused && writableLength < mostUnreadBytes) this.#socket.write(this.#replies);
    this.#replies = '';
  }

  #take(message: Record<string, unknown>): void {
    this.#invalidInARow = 0;
    const { token } = message;
    // One that is let in by its address may show a token, and may as well have a field of that name.
    const isGreeting = !this.#isIn || (!this.#hasSpoken && typeof token === 'string' && token.startsWith('aw_'));
    this.#hasSpoken = true;
    if (isGreeting) this.#enter(this.#handlers.admit(message));
    else this.#handlers.message(message);
  }

  #enter(rights: AgentRights): void {
    clearTimeout(this.#greetingTimer);
    this.#isIn = true;
    this.#objects.longestBytes = longestObjectBytes;
    this.#handlers.entered(rights);
  }

  #invalid(): void {
    this.#handlers.invalid();
    this.#invalidInARow++;
    if (!this.#isIn || this.#invalidInARow > mostInvalid) this.refuse(notJson());
  }
}

function noGreeting(): MonitorError {
  return new MonitorError(
    'unauthorized',
    `say who you are within ${greetingMs / 1000} s: {"token": "aw_w_..."} first, or have your address listed with --tcp-allow`,
  );
}

function tooLong(longestBytes: number): MonitorError {
  return new MonitorError('too_large', `a message is longer than ${longestBytes} bytes`);
}

function notJson(): MonitorError {
  return new MonitorError('invalid', 'this is no JSON; send objects such as {"cpu": 12.5}');
}
