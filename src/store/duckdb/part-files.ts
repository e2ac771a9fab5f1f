import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { syncFolder } from '../../platform/durable-file.ts';

/**
 * Closed rows are immutable Parquet files in a folder beside the database, which says in `part` which there are. A file
 * that it does not name is the rest of a kill; one that is damaged is set aside under another name.
 */

/** Process rows, their roll-ups of a minute and of an hour, and the buckets of these. */
export const families = ['usage', 'minute', 'hour', 'bucket'] as const;
export type Family = (typeof families)[number];

export interface Part {
  /** Given once. Files of one closing have different ones. */
  id: number;
  family: Family;
  /** Its rows have `since <= time < until`. */
  since: number;
  until: number;
  /** Ids. */
  firstHost: number;
  lastHost: number;
  /** The largest id of a name in it. */
  lastName: number;
  rows: number;
  bytes: number;
  crc: number;
}

export type PartState = 'there' | 'missing' | 'damaged';

export class PartFiles {
  readonly folder: string;

  constructor(database: string) {
    this.folder = `${database}.parts`;
  }

  /** `usage-2026-11-22T10-17.parquet`. */
  path({ family, since, id }: Pick<Part, 'family' | 'since' | 'id'>): string {
    return join(this.folder, `${family}-${hourText(since)}-${id}.parquet`);
  }

  /** Where one is written before it is whole. */
  temporary(part: Pick<Part, 'family' | 'since' | 'id'>): string {
    return `${this.path(part)}.tmp`;
  }

  /** A name for what is written for one answer; the next start removes what a kill has left of it. */
  forAnswer(): string {
    return join(this.folder, `answer-${randomUUID()}.parquet.tmp`);
  }

  async make(): Promise<void> {
    if ((await mkdir(this.folder, { recursive: true, mode: 0o700 })) !== undefined)
      await syncFolder(dirname(this.folder));
  }

  /** Makes what was written durable under its name. @returns what is to be remembered of it */
  async seal(part: Pick<Part, 'family' | 'since' | 'id'>): Promise<Pick<Part, 'bytes' | 'crc'>> {
    const temporary = this.temporary(part);
    const handle = await open(temporary, 'r+');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
    await chmod(temporary, 0o600);
    const sealed = await read(temporary);
    await rename(temporary, this.path(part));
    await syncFolder(this.folder);
    return sealed;
  }

  async remove(parts: readonly Pick<Part, 'family' | 'since' | 'id'>[]): Promise<void> {
    for (const part of parts)
      for (const path of [this.path(part), this.temporary(part)]) await rm(path, { force: true });
  }

  /** Whole files that none of these is; what was being written is removed. */
  async unknown(parts: readonly Part[]): Promise<Pick<Part, 'family' | 'since' | 'id'>[]> {
    const known = new Set(parts.map((part) => this.path(part)));
    const unknown: Pick<Part, 'family' | 'since' | 'id'>[] = [];
    for (const name of await readdir(this.folder).catch(() => [])) {
      if (name.endsWith('.parquet.tmp')) await rm(join(this.folder, name), { force: true });
      const [, family, hour, id] = /^(usage|minute|hour|bucket)-(.+)-(\d+)\.parquet$/.exec(name) ?? [];
      if (family === undefined || known.has(join(this.folder, name))) continue;
      const since = /T/.test(hour ?? '') ? Date.parse(`${hour}:00Z`) : Number(hour);
      unknown.push({ family: family as Family, since, id: Number(id) });
    }
    return unknown;
  }

  /** Whether it is there and has its size. @throws Node's own error where that cannot be known now */
  async isThere(part: Part): Promise<PartState> {
    const found = await stat(this.path(part)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      throw error;
    });
    if (found === null) return 'missing';
    return found.size === part.bytes ? 'there' : 'damaged';
  }

  /** The same for every byte of it. */
  async isWhole(part: Part): Promise<PartState> {
    const state = await this.isThere(part);
    if (state !== 'there') return state;
    return (await read(this.path(part))).crc === part.crc ? 'there' : 'damaged';
  }

  /** @returns under which name it is now */
  async setAside(
    part: Pick<Part, 'family' | 'since' | 'id'>,
    why: 'damaged' | 'unknown',
    stamp: string,
  ): Promise<string> {
    const aside = `${this.path(part)}.${why}-${stamp}`;
    await rename(this.path(part), aside);
    return aside;
  }
}

/** A piece at a time: a part of a large fleet is tens of megabytes. */
async function read(path: string): Promise<{ bytes: number; crc: number }> {
  let [bytes, crc] = [0, 0];
  for await (const piece of createReadStream(path)) {
    bytes += (piece as Buffer).length;
    crc = crc32(piece as Buffer, crc);
  }
  return { bytes, crc };
}

/** Of times that a Date does not hold their number. */
function hourText(time: number): string {
  return Math.abs(time) <= 8.64e15 ? new Date(time).toISOString().slice(0, 13) : String(time);
}
