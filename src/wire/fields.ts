import Type, { type Static } from 'typebox';
import { resolutions } from '../core/store.ts';

/**
 * The wire: what PUT accepts and GET answers. These schemas validate, type the code and make the
 * OpenAPI document. Unknown fields are ignored in what comes in.
 */

/** Names longer than this are refused; Linux gives 15 bytes, Windows at most 260. */
export const maxNameLength = 260;
export const maxBytes = Number.MAX_SAFE_INTEGER;

export const nullable = (minimum: number, maximum: number, description: string, type = 'number') =>
  Type.Unsafe<number | null>({ type: [type, 'null'], minimum, maximum, description });
export const name = (description: string) => Type.String({ minLength: 1, maxLength: maxNameLength, description });
export const instant = (description: string) => Type.String({ format: 'date-time', description });

/** `if/then/else` and not anyOf: the validator then says what is wrong with the branch that was meant. */
export const arrayOr = <A, B>(whenArray: Type.TSchema, otherwise: Type.TSchema) =>
  Type.Unsafe<A | B>({
    type: ['array', 'object'],
    if: { type: 'array' },
    // biome-ignore lint/suspicious/noThenProperty: the JSON Schema keyword
    then: whenArray,
    else: otherwise,
  });

export const number = Type.Unsafe<number | null>({ type: ['number', 'null'] });
export const integer = Type.Unsafe<number | null>({ type: ['integer', 'null'] });
export const text = Type.Unsafe<string | null>({ type: ['string', 'null'] });
export const optionalInstant = (description: string) =>
  Type.Unsafe<string | null>({ type: ['string', 'null'], format: 'date-time', description });
/** Any key at all: Type.Record makes a pattern of it, and a name with a newline in it does not match that. */
export const recordOf = <T extends Type.TSchema>(value: T, description = '') =>
  Type.Unsafe<Record<string, Static<T>>>({ type: 'object', description, additionalProperties: value });
export const resolutionField = Type.Enum([...resolutions], {
  description:
    'The coarsest that it is made of: rows as they came, or their roll-ups of a minute, ten minutes (of InfluxDB) or an hour. It makes a difference only where the rows are not kept any more, or are too many: the window then begins and ends where the roll-ups do.',
});
export const windowFields = { from: instant('Exclusive.'), to: instant('Inclusive.') };
export const optionalNumber = (description: string) =>
  Type.Unsafe<number | null>({ type: ['number', 'null'], description });

export function mapValues<K extends string, T extends Type.TSchema, R extends Type.TSchema>(
  fields: Record<K, T>,
  map: (field: T) => R,
): Record<K, R> {
  return Object.fromEntries(Object.entries<T>(fields).map(([key, field]) => [key, map(field)])) as Record<K, R>;
}
