import type { ErrorCode } from '../core/error.ts';

/** The HTTP status of each code. */
export const errorStatus: Readonly<Record<ErrorCode, number>> = {
  invalid: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  too_large: 413,
  unsupported: 415,
  too_early: 425,
  rate_limited: 429,
  internal: 500,
  unavailable: 503,
  timeout: 504,
};
