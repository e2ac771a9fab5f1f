/** The closed list of error codes. */
export const errorCodes = [
  'invalid',
  'unauthorized',
  'forbidden',
  'not_found',
  'conflict',
  'too_large',
  'unsupported',
  'too_early',
  'rate_limited',
  'internal',
  'unavailable',
  'timeout',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

/**
 * The one error that crosses module borders. Adapters translate what their driver throws into it and
 * keep the original as `cause`. The message names the thing, the value and the remedy.
 */
export class MonitorError extends Error {
  override readonly name = 'MonitorError';
  readonly code: ErrorCode;
  /** Seconds after which a `too_early`, `rate_limited` or `unavailable` request may be tried again. */
  readonly retryAfterSeconds: number | undefined;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; retryAfterSeconds?: number } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

/** The message of whatever was thrown, for a log line or a wrapped error. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
