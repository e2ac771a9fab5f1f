import Type from 'typebox';
import { errorCodes } from '../core/error.ts';

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
