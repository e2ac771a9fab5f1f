import { Worker } from 'node:worker_threads';

/** Space for young objects: V8 would take three times as much for a burst, and keep it. */
const resourceLimits = { maxYoungGenerationSizeMb: 16 };

/**
 * Starts a module as a worker thread. `module` is its path without extension, seen from `importer`, the
 * import.meta.url of who starts it. Run from its sources, as tests do, the thread has to load the TypeScript
 * loader by itself.
 */
export function startWorker(module: string, importer: string, workerData: unknown = null): Worker {
  if (!importer.endsWith('.ts')) return new Worker(new URL(`${module}.js`, importer), { workerData, resourceLimits });
  const source = JSON.stringify(new URL(`${module}.ts`, importer).href);
  return new Worker(`import('tsx/esm/api').then(({ register }) => { register(); return import(${source}); })`, {
    workerData,
    resourceLimits,
    eval: true,
  });
}
