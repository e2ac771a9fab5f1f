import { Worker } from 'node:worker_threads';

/**
 * Starts the module as a worker thread. `module` is the URL of a .ts source when run from the sources, as
 * tests do, and of a .js otherwise; from its sources the thread has to load the TypeScript loader by itself.
 */
export function startWorker(module: URL, workerData: unknown = null): Worker {
  if (!module.href.endsWith('.ts')) return new Worker(module, { workerData });
  const source = JSON.stringify(module.href);
  return new Worker(`import('tsx/esm/api').then(({ register }) => { register(); return import(${source}); })`, {
    workerData,
    eval: true,
  });
}
