import { messageOf } from '../core/error.ts';
import { JsonFile } from '../platform/json-file.ts';
import type { Fetched } from './fetched.ts';
import type { FetchedStorage } from './prometheus-source.ts';

/**
 * What of a source is stored, as a file in the data folder; no file: nothing.
 * @param of what is asked of whom, and where it is kept: of another nothing is
 */
export function openFetched(folder: string, name: string, of: string, warn: (message: string) => void): FetchedStorage {
  const file = new JsonFile(folder, `${name}.json`);
  const found = read(file, warn);
  const isSame = (found as { of?: unknown } | null)?.of === of;
  return { fetched: isSame ? found : null, keep: (fetched) => file.write({ of, ...fetched }) };
}

function read(file: JsonFile, warn: (message: string) => void): Fetched | null {
  try {
    const value = file.read();
    if (value === undefined) return null;
    if (isFetched(value)) return value;
    throw new Error('it holds something else');
  } catch (error) {
    warn(
      `${file.path} cannot be read, so all of that source is fetched again: ${messageOf(error)}; it is kept as ${file.path}.damaged`,
    );
    file.setAside();
    return null;
  }
}

function isFetched(value: unknown): value is Fetched {
  const { until, missing } = (value ?? {}) as Partial<Fetched>;
  const isTime = (time: unknown) => typeof time === 'number' && Number.isSafeInteger(time) && time >= 0;
  return (
    isTime(until) && Array.isArray(missing) && missing.every((window) => isTime(window?.from) && isTime(window?.to))
  );
}
