import { messageOf } from '../core/error.ts';
import { fileReason } from '../core/failure-reason.ts';
import { JsonFile } from '../platform/json-file.ts';
import type { ForgottenHostsStorage } from './forgotten-hosts.ts';

/** The hosts that somebody has had forgotten, as a file in the data folder; no file: none. */
export function openForgottenHosts(dataFolder: string, warn: (message: string) => void): ForgottenHostsStorage {
  const file = new JsonFile(dataFolder, 'forgotten-hosts.json');
  return {
    hosts: read(file, warn),
    async keep(hosts) {
      try {
        await file.write(hosts);
      } catch (error) {
        warn(`cannot keep in ${file.path} which hosts are forgotten: ${fileReason(error)}`);
        throw error;
      }
    },
  };
}

function read(file: JsonFile, warn: (message: string) => void): Record<string, number> {
  try {
    const value = file.read();
    const entries = value === undefined ? [] : Object.entries(value as Record<string, unknown>);
    return Object.fromEntries(entries.filter((entry): entry is [string, number] => typeof entry[1] === 'number'));
  } catch (error) {
    // They are shown again, as STALE: better than hosts that are not shown.
    warn(`${file.path} cannot be read, so no host is forgotten: ${messageOf(error)}`);
    return {};
  }
}
