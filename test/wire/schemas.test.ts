import { readdirSync } from 'node:fs';
import { Ajv2020 as Ajv } from 'ajv/dist/2020.js';
import { expect, test } from 'vitest';

const folder = new URL('../../src/wire/', import.meta.url);

test.each(readdirSync(folder))('%s: what is a schema is one', async (file) => {
  const ajv = new Ajv({ strict: false });
  const exported: Record<string, unknown> = await import(new URL(file, folder).href);
  const schemas = Object.entries(exported).filter(([name]) => name.endsWith('Schema'));
  for (const [name, schema] of schemas)
    expect(ajv.validateSchema(schema as object), `${name}: ${ajv.errorsText()}`).toBe(true);
});
