import { readFileSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MonitorError } from '../core/error.ts';

export interface SpoolLimits {
  bytes: number;
  ageMs: number;
}

export const defaultSpoolLimits: SpoolLimits = { bytes: 256 * 1024 * 1024, ageMs: 72 * 3_600_000 };
const maxQuarantined = 1000;
/** Ages are looked at this often: every quarter of an hour at one snapshot in 10 s. */
const putsPerAgeCheck = 90;

/** One spooled snapshot. All that is known of it stands in its file name, so that nothing need be opened. */
export interface SpoolEntry {
  file: string;
  time: number;
  bytes: number;
}

export interface SpoolCounts {
  taken: number;
  /** Lost to the limits, oldest first. */
  dropped: number;
  /** Refused by the server for good, or unreadable: kept aside. */
  quarantined: number;
}

/**
 * A folder of files, one gzip snapshot each, named by time and sequence. A file is complete or not there:
 * written under another name, synced, then renamed. Deleting works on a full disk, a damaged file costs
 * one snapshot, and a start reads nothing but the folder's listing.
 */
export class Spool {
  readonly counts: SpoolCounts = { taken: 0, dropped: 0, quarantined: 0 };
  readonly #folder: string;
  readonly #limits: SpoolLimits;
  #sequence = 0;
  /** Of all files, so that a long backlog need not be listed at every put. */
  #bytes = 0;

  private constructor(folder: string, limits: SpoolLimits) {
    this.#folder = folder;
    this.#limits = limits;
  }

  /** @throws MonitorError `conflict` when another process uses the folder. */
  static async open(folder: string, limits: SpoolLimits = defaultSpoolLimits): Promise<Spool> {
    await mkdir(join(folder, 'quarantine'), { recursive: true, mode: 0o700 });
    await lock(folder);
    const spool = new Spool(folder, limits);
    for (const file of await readdir(folder)) {
      if (file.endsWith('.tmp')) await rm(join(folder, file), { force: true });
    }
    // Names must not meet those of an earlier run.
    for (const { file, bytes } of await spool.list()) {
      spool.#sequence = Math.max(spool.#sequence, Number(file.split('-')[1]));
      spool.#bytes += bytes;
    }
    return spool;
  }

  /** Resolves once the snapshot is on disk. */
  async put(time: number, data: Uint8Array): Promise<SpoolEntry> {
    this.counts.taken++;
    const sequence = String(++this.#sequence).padStart(9, '0');
    const file = `${String(time).padStart(14, '0')}-${sequence}-${data.length}.json.gz`;
    const temporary = join(this.#folder, `${file}.tmp`);
    try {
      await writeDurably(temporary, data);
      await rename(temporary, join(this.#folder, file));
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
    await this.#syncFolder();
    this.#bytes += data.length;
    if (this.#bytes > this.#limits.bytes || this.counts.taken % putsPerAgeCheck === 0) await this.#enforceLimits(time);
    return { file, time, bytes: data.length };
  }

  /** Oldest first. */
  async list(): Promise<SpoolEntry[]> {
    const files = (await readdir(this.#folder)).filter((file) => /^\d+-\d+-\d+\.json\.gz$/.test(file)).sort();
    return files.map((file) => {
      const [time, , bytes] = file.split(/[-.]/);
      return { file, time: Number(time), bytes: Number(bytes) };
    });
  }

  read(entry: SpoolEntry): Promise<Buffer> {
    return readFile(join(this.#folder, entry.file));
  }

  async remove(entry: SpoolEntry): Promise<void> {
    await unlink(join(this.#folder, entry.file)).then(() => this.#forget(entry), ignoreMissing);
  }

  /** Sets a snapshot aside that will never be stored. */
  async quarantine(entry: SpoolEntry): Promise<void> {
    this.counts.quarantined++;
    const folder = join(this.#folder, 'quarantine');
    await rename(join(this.#folder, entry.file), join(folder, entry.file)).then(
      () => this.#forget(entry),
      ignoreMissing,
    );
    const files = (await readdir(folder)).sort();
    for (const file of files.slice(0, Math.max(0, files.length - maxQuarantined)))
      await rm(join(folder, file), { force: true });
  }

  /** Another process may use the folder from now on. */
  async close(): Promise<void> {
    await rm(join(this.#folder, lockName), { force: true });
  }

  async #enforceLimits(now: number): Promise<void> {
    const entries = await this.list();
    for (const entry of entries.slice(0, -1)) {
      if (this.#bytes <= this.#limits.bytes && entry.time >= now - this.#limits.ageMs) break;
      await this.remove(entry);
      this.counts.dropped++;
    }
  }

  #forget(entry: SpoolEntry): void {
    this.#bytes -= entry.bytes;
  }

  /** A rename is durable once the folder is. */
  async #syncFolder(): Promise<void> {
    if (process.platform === 'win32') return;
    const handle = await open(this.#folder, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
}

async function writeDurably(path: string, data: Uint8Array): Promise<void> {
  const handle = await open(path, 'w', 0o600);
  try {
    await handle.writeFile(data);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const lockName = 'in-use-by';

/** Two processes on one spool would send each other's snapshots to their own servers. */
async function lock(folder: string): Promise<void> {
  const path = join(folder, lockName);
  const holder = Number(await readFile(path, 'utf8').catch(() => '0'));
  if (holder > 0 && holder !== process.pid && isCollector(holder)) {
    throw new MonitorError(
      'conflict',
      `process ${holder} uses the spool ${folder}; stop that one or choose another folder with --data`,
    );
  }
  await writeFile(path, String(process.pid));
}

/** A pid may be another program's by now. */
function isCollector(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return process.platform !== 'linux' || /node|amberwatch/.test(readFileSync(`/proc/${pid}/cmdline`, 'latin1'));
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
