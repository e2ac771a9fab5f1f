import type { Said } from '../outbox.ts';

/** What became of one try to deliver something. */
export type Outcome =
  | { kind: 'taken' }
  /** To try again would not help. */
  | { kind: 'refused'; detail: string }
  /** @param retryAfterMs what the other side has asked for; null: nothing */
  | { kind: 'failed'; detail: string; retryAfterMs: number | null };

/** Where what the alerter says goes: one thing after the other, each until it is taken or refused for good. */
export interface Channel {
  /** Its place in the outbox is kept under this, from start to start. */
  readonly name: string;
  /** For a person, without any secret. */
  readonly label: string;
  /** It takes a moment and does not fail: an evaluation waits until it has everything. */
  readonly isInstant: boolean;
  /** Never rejects. Aborted: the alerter ends. */
  deliver(said: Said, signal: AbortSignal): Promise<Outcome>;
  close(): Promise<void>;
}
