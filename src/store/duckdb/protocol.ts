import type { ErrorCode } from '../../core/error.ts';
import type { Store } from '../../core/store.ts';
import type { PackedSnapshot } from './packed-snapshot.ts';

/** What the store's thread is started with. */
export interface ThreadData {
  path: string;
  retentionMs: number;
  /** For the name of what is set aside. */
  stamp: string;
}

/** The store as its thread has it: snapshots come packed, and names have ids. */
export interface Engine extends Omit<Store, 'url' | 'expiresItself' | 'write'> {
  write(snapshots: readonly PackedSnapshot[]): Promise<void>;
  /** All process names with their ids. */
  names(): Promise<[id: number, text: string][]>;
}

export type Method = keyof Engine;

export interface Call {
  id: number;
  method: Method;
  args: unknown[];
}

/** An error cannot keep its class on the way between threads. */
export interface PlainError {
  code: ErrorCode;
  message: string;
  retryAfterSeconds: number | undefined;
}

/** The first answer of all, to no call, says whether the store could be opened, and what was mended: texts. */
export type Answer = { id: number } & ({ value: unknown } | { error: PlainError });

export const openedId = 0;
