import { type DesiredSettings, intervalBounds } from '../core/collector-settings.ts';
import { messageOf } from '../core/error.ts';
import { fileReason } from '../core/failure-reason.ts';
import { JsonFile } from '../platform/json-file.ts';
import type { DesiredSettingsStorage } from './desired-settings.ts';

/** What is wanted of the collectors, as a file in the data folder of the server; no file: nothing. */
export function openDesiredSettings(dataFolder: string, warn: (message: string) => void): DesiredSettingsStorage {
  const file = new JsonFile(dataFolder, 'desired-settings.json');
  return {
    hosts: read(file, warn),
    async keep(hosts) {
      try {
        await file.write(hosts, 2);
      } catch (error) {
        warn(`cannot keep in ${file.path} what is wanted of the collectors: ${fileReason(error)}`);
        throw error;
      }
    },
  };
}

function read(file: JsonFile, warn: (message: string) => void): Record<string, DesiredSettings> {
  try {
    const entries = Object.entries((file.read() ?? {}) as Record<string, unknown>);
    return Object.fromEntries(entries.filter((entry): entry is [string, DesiredSettings] => isDesired(entry[1])));
  } catch (error) {
    warn(
      `${file.path} cannot be read, so collectors do as they were started: ${messageOf(error)}; it is kept as ${file.path}.damaged`,
    );
    file.setAside();
    return {};
  }
}

function isDesired(value: unknown): value is DesiredSettings {
  const { intervalMs, isPaused } = (value ?? {}) as Partial<DesiredSettings>;
  if (typeof isPaused !== 'boolean') return false;
  if (intervalMs === null) return true;
  const { leastMs, mostMs } = intervalBounds;
  return typeof intervalMs === 'number' && intervalMs >= leastMs && intervalMs <= mostMs;
}
