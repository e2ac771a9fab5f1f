import { Ajv2020 as Ajv, type AnySchema, type Options } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';

/** Checks bodies as they are, and what stands in a URL as what it can be read as. */
export function compileValidator(schema: unknown, httpPart: string | undefined) {
  return httpPart === 'body' ? strict.compile(inParts(schema)) : coercing.compile(schema as AnySchema);
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
