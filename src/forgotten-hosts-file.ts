import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { KeptForgotten } from './api/forgotten-hosts.ts';
import { messageOf } from './core/error.ts';
import { fileReason } from './core/failure-reason.ts';
import { replaceFile } from './durable-file.ts';

/** The hosts that somebody has had forgotten, as a file in the data folder; no file: none. */
export function openForgottenHosts(dataFolder: string, warn: (message: string) => void): KeptForgotten {
  const path = join(dataFolder, 'forgotten-hosts.json');
  return {
    hosts: read(path, warn),
    async keep(hosts) {
      try {
        await mkdir(dataFolder, { recursive: true, mode: 0o700 });
        await replaceFile(path, `${JSON.stringify(hosts)}\n`);
      } catch (error) {
        warn(`cannot keep in ${path} which hosts are forgotten: ${fileReason(error)}`);
        throw error;
      }
    },
  };
}

function read(path: string, warn: (message: string) => void): Record<string, number> {
  try {
    const entries = Object.entries(JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>);
    return Object.fromEntries(entries.filter((entry): entry is [string, number] => typeof entry[1] === 'number'));
  } catch (error) {
    // They are shown again, as STALE: better than hosts that are not shown.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      warn(`${path} cannot be read, so no host is forgotten: ${messageOf(error)}`);
    return {};
  }
}
