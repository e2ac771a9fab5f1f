import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Environment } from './setting.ts';

/** Where snapshots are kept if nothing else is said. */
export function storeUrl(url: string | null, dataFolder: string): string {
  return url ?? `duckdb:${join(dataFolder, 'amberwatch.db')}`;
}

/** Where the platform wants data that must last. */
export function dataFolder(environment: Environment): string {
  // A systemd unit with StateDirectory= says so here.
  if (environment.STATE_DIRECTORY) return environment.STATE_DIRECTORY.split(':', 1)[0] as string;
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Application Support', 'amberwatch');
  if (process.platform === 'win32')
    return join(environment.LOCALAPPDATA ?? join(homedir(), 'AppData', 'Local'), 'amberwatch');
  return join(environment.XDG_DATA_HOME || join(homedir(), '.local', 'share'), 'amberwatch');
}
