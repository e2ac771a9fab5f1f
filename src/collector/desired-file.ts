import { type DesiredSettings, nothingDesired } from '../core/collector-settings.ts';
import { messageOf } from '../core/error.ts';
import { JsonFile } from '../platform/json-file.ts';
import { formatDesired, parseDesired } from '../wire/desired-settings.ts';
import type { DesiredStorage } from './collector.ts';

/** What the server wanted last, as a file of its own for each server and name; no file: nothing. */
export function openDesired(folder: string, name: string, log: { warn(message: string): void }): DesiredStorage {
  const file = new JsonFile(folder, `${name}.json`);
  let tail: Promise<void> = Promise.resolve();
  return {
    settings: read(file, log),
    keep(settings) {
      const text = formatDesired(settings);
      const done = tail.then(() => (text === '' ? file.remove() : file.write(text)));
      tail = done.catch(() => undefined);
      return done;
    },
  };
}

function read(file: JsonFile, log: { warn(message: string): void }): DesiredSettings {
  try {
    const text = file.read();
    return typeof text === 'string' ? parseDesired(text) : nothingDesired;
  } catch (error) {
    log.warn(`${file.path} cannot be read, so this collector does as it was started: ${messageOf(error)}`);
    return nothingDesired;
  }
}
