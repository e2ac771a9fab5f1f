import { copyFileSync, rmSync } from 'node:fs';
import { bundle, bundlePage } from './bundle.ts';

const outdir = 'dist';
// Nothing of a build before: it would be packed too.
rmSync(outdir, { recursive: true, force: true });
await Promise.all([bundle(outdir), bundlePage(`${outdir}/web`)]);
for (const file of ['index.html', 'favicon.svg']) copyFileSync(`web/${file}`, `${outdir}/web/${file}`);
