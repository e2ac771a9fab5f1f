import Type from 'typebox';
import { type ErrorCode, errorCodes } from '../core/error.ts';

/** The HTTP status of each code. */
export const errorStatus: Readonly<Record<ErrorCode, number>> = {
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
};

/** RFC 9457. */
export const problemSchema = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.Enum([...errorCodes]),
    detail: Type.String(),
  },
  { title: 'Problem' },
);
