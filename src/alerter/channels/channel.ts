import type { OutboxEntry } from '../outbox.ts';

/** What became of one try to deliver something. */
export type Outcome =
  | { kind: 'taken' }
  /** To try again would not help. */
  | { kind: 'refused'; detail: string }
  /** `retryAfterMs` is what the other side has asked for; null: nothing. */
  | { kind: 'failed'; detail: string; retryAfterMs: number | null };

/** Where what the alerter says goes: one thing after the other, each until it is taken or refused for good. */
export interface Channel {
  /** Its place in the outbox is kept under this, from start to start. */
  readonly name: string;
  /** For a person, without any secret. */
  readonly label: string;
  /** `deliver` takes a moment and does not fail: the alerter waits for it before it goes on. */
  readonly isInstant: boolean;
  /** To reject is to fail. The signal is aborted when the alerter ends. */
  deliver(said: OutboxEntry, signal: AbortSignal): Promise<Outcome>;
  close(): Promise<void>;
}
