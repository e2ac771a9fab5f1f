import { fileURLToPath } from 'node:url';
import { bundle } from '../bundle.ts';

/** A script of this folder as plain JavaScript, so that no loader's memory is measured with it. @returns its path */
export async function bundled(name: string): Promise<string> {
  const outdir = fileURLToPath(new URL('../dist/torture', import.meta.url));
  await bundle(outdir, [`torture/${name}.ts`, 'src/store/duckdb/thread.ts']);
  return `${outdir}/${name}.js`;
}
