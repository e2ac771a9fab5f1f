import { messageOf } from '../core/error.ts';
import { fileReason } from '../core/failure-reason.ts';
import { JsonFile } from '../platform/json-file.ts';
import { checkDefinition, type Sla, type SlaVersion } from './sla.ts';
import type { SlaStorage } from './slas.ts';

/** SLAs as a file in the data folder of the server; no file: none. */
export function openSlas(dataFolder: string, warn: (message: string) => void): SlaStorage {
  const file = new JsonFile(dataFolder, 'slas.json');
  return {
    slas: read(file, warn),
    async keep(slas) {
      try {
        await file.write(slas, 2);
      } catch (error) {
        warn(`cannot keep SLAs in ${file.path}: ${fileReason(error)}`);
        throw error;
      }
    },
  };
}

function read(file: JsonFile, warn: (message: string) => void): Sla[] {
  try {
    const slas = (file.read() ?? []) as Sla[];
    for (const { id, versions } of slas) {
      if (typeof id !== 'string' || versions.length === 0) throw new Error('one has no id or no definition');
      versions.forEach(checkVersion);
      // The first one is for all of the past, whenever it was made.
      if (versions.some(({ since }, index) => index > 1 && since < (versions[index - 1]?.since ?? since)))
        throw new Error(`the definitions of ${id} are not by time`);
    }
    return slas;
  } catch (error) {
    warn(`${file.path} cannot be read, so there are no SLAs: ${messageOf(error)}; it is kept as ${file.path}.damaged`);
    file.setAside();
    return [];
  }
}

function checkVersion(version: SlaVersion): void {
  const { since, min, max, objective, selector, windows } = version;
  const isEnd = (end: unknown) => end === null || Number.isFinite(end);
  if (!Number.isFinite(since) || !isEnd(min) || !isEnd(max) || typeof objective !== 'number')
    throw new Error('one has something else for a number');
  if (typeof selector !== 'string' || !Array.isArray(windows)) throw new Error('one has no selector or no windows');
  checkDefinition(version);
}
