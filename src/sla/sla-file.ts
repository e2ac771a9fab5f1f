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
    }
    return slas;
  } catch (error) {
    warn(`${file.path} cannot be read, so there are no SLAs: ${messageOf(error)}; it is kept as ${file.path}.damaged`);
    file.setAside();
    return [];
  }
}

function checkVersion(version: SlaVersion): void {
  if (!Number.isFinite(version.since)) throw new Error('one does not say since when');
  checkDefinition(version);
}
