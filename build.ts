import { rmSync } from 'node:fs';
import { bundle } from './bundle.ts';

const outdir = 'dist';
// Nothing of a build before: it would be packed too.
rmSync(outdir, { recursive: true, force: true });
await bundle(outdir);
