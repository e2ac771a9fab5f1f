/** The closed list of error codes and the HTTP status each one has on the wire. */
export const errorStatus = {
  invalid: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  too_large: 413,
  too_early: 425,
  rate_limited: 429,
  internal: 500,
  unavailable: 503,
  timeout: 504,
} as const;

export type ErrorCode = keyof typeof errorStatus;

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
