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

/** One that cannot be understood costs no other; what is not JSON is set aside. */
function read(file: JsonFile, warn: (message: string) => void): Sla[] {
  let kept: unknown[];
  try {
    const found = file.read() ?? [];
    if (!Array.isArray(found)) throw new Error('it is no list');
    kept = found;
  } catch (error) {
    warn(`${file.path} cannot be read, so there are no SLAs: ${messageOf(error)}; it is kept as ${file.path}.damaged`);
    file.setAside();
    return [];
  }
  const slas = (kept as Sla[]).filter((sla) => isGood(sla, (why) => warn(`${file.path}: ${why}`)));
  if (slas.length < kept.length) file.copyAside();
  return slas;
}

function isGood(sla: Sla, warn: (message: string) => void): boolean {
  try {
    checkSla(sla);
    return true;
  } catch (error) {
    warn(`the SLA ${JSON.stringify(sla?.id)} is left out: ${messageOf(error)}; the file is kept as it was as .damaged`);
    return false;
  }
}

function checkSla({ id, versions }: Sla): void {
  if (typeof id !== 'string' || versions.length === 0) throw new Error('it has no id or no definition');
  versions.forEach(checkVersion);
  // The first one is for all of the past, whenever it was made.
  if (versions.some(({ since }, index) => index > 1 && since < (versions[index - 1]?.since ?? since)))
    throw new Error('its definitions are not by time');
}

function checkVersion(version: SlaVersion): void {
  const { since, min, max, objective, selector, windows } = version;
  const isEnd = (end: unknown) => end === null || Number.isFinite(end);
  if (!Number.isFinite(since) || !isEnd(min) || !isEnd(max) || typeof objective !== 'number')
    throw new Error('something else stands for a number');
  if (typeof selector !== 'string' || !Array.isArray(windows)) throw new Error('it has no selector or no windows');
  checkDefinition(version);
}
