import { type BuildResult, build } from 'esbuild';

/** What is started as a program or as a thread: each is a file of its own, in the folder itself. */
const programs = [
  'src/cli.ts',
  'src/api/table-text-thread.ts',
  'src/forecast/forecast-worker.ts',
  'src/store/duckdb/thread.ts',
];

/** They look for files beside their own. */
const external = ['@duckdb/node-bindings', '@fastify/swagger-ui', 'ps-list', 'systeminformation'];

/**
 * The program in a few files, packages and all: to find and read the 1,460 modules that it is made of takes Node half a
 * second. What is imported later is in files of its own, and nobody loads it who does not need it.
 */
export function bundle(outdir: string, entryPoints: readonly string[] = programs) {
  return build({
    entryPoints: [...entryPoints],
    outdir,
    entryNames: '[name]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    external,
    metafile: true,
    logLevel: 'warning',
    // Packages that are CommonJS ask for Node's own modules with it.
    banner: {
      js: "import { createRequire as requireOf } from 'node:module'; const require = requireOf(import.meta.url);",
    },
  }) satisfies Promise<BuildResult>;
}

/** The page, for the browser: one script and one style, nothing from elsewhere. */
export function bundlePage(outdir: string) {
  return build({
    entryPoints: ['web/page.tsx'],
    outdir,
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    logLevel: 'warning',
  }) satisfies Promise<BuildResult>;
}
