import { readdirSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { bundle } from './bundle.ts';

const outdir = 'dist';
/** A server that runs while it is built anew may still load something of the build before. */
const keptMs = 86_400_000;

const { metafile } = await bundle(outdir);
const made = new Set(Object.keys(metafile.outputs).map((path) => basename(path)));
for (const name of readdirSync(outdir)) {
  const path = join(outdir, name);
  if (!made.has(name) && statSync(path).mtimeMs < Date.now() - keptMs) rmSync(path, { recursive: true });
}
