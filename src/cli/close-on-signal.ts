import closeWithGrace, { type Options } from 'close-with-grace';
import type { Clock } from '../core/clock.ts';
import { messageOf } from '../core/error.ts';

const closeGraceMs = 15_000;

export interface ClosingOptions {
  clock: Clock;
  complain: (what: string) => void;
  /** Once it has been asked to end. */
  before?: () => void;
}

export interface Closable {
  close(): Promise<void> | void;
}

/** Signals that come within this are one: npm and the terminal both send theirs. */
const sameSignalMs = 1_000;

/** Node goes on after the handler of one of these, into the same fault again: it would spin for ever. */
const crashes = ['SIGILL', 'SIGTRAP', 'SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGSEGV'] as const;

/** Closes in order on SIGINT or SIGTERM; asked once more, it ends at once. */
export function closeOnSignal(closing: readonly Closable[], { clock, complain, before }: ClosingOptions): void {
  let hasHungUp = false;
  const options: Options = {
    delay: closeGraceMs,
    logger: false,
    skip: ['SIGINT', 'SIGTERM', ...crashes],
    onTimeout: () => void complain('could not end in time'),
  };
  const { close } = closeWithGrace(options, async ({ err, signal }) => {
    if (err) complain(messageOf(err));
    before?.();
    for (const daemon of [...closing]) {
      await Promise.resolve(daemon.close()).catch((error: unknown) => complain(messageOf(error)));
    }
    if (signal === 'SIGHUP' || hasHungUp) endByHangup();
  });
  let askedAt: number | null = null;
  const ask = () => {
    if (askedAt === null) close();
    else if (clock.monotonic() - askedAt > sameSignalMs) process.exit(1);
    askedAt ??= clock.monotonic();
  };
  process.on('SIGINT', ask);
  process.on('SIGTERM', ask);
  // Nobody reads any more: EIO of a terminal, EPIPE of a pipe.
  process.stdout.on('error', ({ code }: NodeJS.ErrnoException) => {
    hasHungUp ||= code === 'EIO';
    ask();
  });
}

/** The terminal is gone: as it exits Node would put it back into the state it was in, and abort where that fails. */
function endByHangup(): void {
  process.removeAllListeners('SIGHUP');
  process.kill(process.pid, 'SIGHUP');
}
