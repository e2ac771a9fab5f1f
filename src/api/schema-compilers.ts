import { Ajv2020 as Ajv, type AnySchema, type Options, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import fastJsonStringify, { type Schema } from 'fast-json-stringify';
import type { FastifySchemaValidationError } from 'fastify';

/** What checks and writes is made for the first request that needs it: all of it would be a third of a start. */

/** Checks bodies as they are, and what stands in a URL as what it can be read as. */
export function compileValidator(schema: unknown, httpPart: string | undefined) {
  let validate: ValidateFunction | undefined;
  const check = Object.assign(
    (value: unknown): boolean => {
      validate ??= httpPart === 'body' ? strict.compile(inParts(schema)) : coercing.compile(schema as AnySchema);
      const isRight = validate(value);
      check.errors = (validate.errors ?? null) as typeof check.errors;
      return isRight;
    },
    { errors: null as FastifySchemaValidationError[] | null },
  );
  return check;
}

/** Writes what a route answers. */
export function compileSerializer(schema: unknown): (value: unknown) => string {
  let write: ((value: unknown) => string) | undefined;
  return (value) => {
    write ??= fastJsonStringify(schema as Schema);
    return write(value);
  };
}

/**
 * The same schema with each part that has a title as a definition, which becomes a function of its own: V8 runs what is
 * longer than 60 KB of its code unoptimised, ten times as slow, and a snapshot's schema as one function is.
 */
function inParts(schema: unknown): AnySchema {
  const $defs: Record<string, unknown> = {};
  const part = (node: unknown): unknown => {
    if (Array.isArray(node)) return node.map(part);
    if (typeof node !== 'object' || node === null) return node;
    const copy = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, part(value)]));
    if (typeof copy.title !== 'string' || !('properties' in copy)) return copy;
    $defs[copy.title] = copy;
    return { $ref: `#/$defs/${copy.title}` };
  };
  const whole = part(schema);
  return { ...(whole as object), $defs };
}

/** Whether they are schemas a test asks, and no start: that takes a tenth of a second. */
const ajvOptions: Options = {
  validateSchema: false,
  allErrors: false,
  strict: false,
  // 1e999 is Infinity to JSON.parse, and null in JSON.
  strictNumbers: true,
  allowUnionTypes: true,
  inlineRefs: false,
};
/** Bodies are taken as they are: a null must not become 0, nor a string a number. */
const strict = withFormats(new Ajv({ ...ajvOptions, coerceTypes: false }));
/** A query string has only text. */
const coercing = withFormats(new Ajv({ ...ajvOptions, coerceTypes: true }));

function withFormats(ajv: Ajv): Ajv {
  (formats as unknown as (ajv: Ajv) => Ajv)(ajv);
  return ajv;
}
