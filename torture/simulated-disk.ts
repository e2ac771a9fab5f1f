import type { Disk } from '../src/collector/disk.ts';
import type { VirtualTime } from './virtual-time.ts';

interface File {
  data: Uint8Array;
}

const never = new Promise<never>(() => undefined);

/**
 * A folder in memory that behaves as a disk does when the power or the process goes: renames and removals
 * are certain only after a sync, a write under way is torn, and a full disk takes no byte but lets go of files.
 */
export class SimulatedDisk {
  #files = new Map<string, File>();
  /** As it is after a power cut. */
  #durable = new Map<string, File>();
  isFull = false;
  readonly #time: VirtualTime;
  readonly #random: () => number;
  #process = 0;

  constructor(time: VirtualTime, random: () => number) {
    this.#time = time;
    this.#random = random;
  }

  /** The process that used the disk is gone: what it had begun never ends. */
  kill(): void {
    this.#process++;
  }

  /** What was not synced may be there or not, each for itself. */
  cutPower(): void {
    this.kill();
    for (const name of new Set([...this.#files.keys(), ...this.#durable.keys()])) {
      const chosen = this.#random() < 0.5 ? this.#files.get(name) : this.#durable.get(name);
      if (chosen) this.#files.set(name, chosen);
      else this.#files.delete(name);
    }
    this.#durable = new Map(this.#files);
  }

  names(): string[] {
    return [...this.#files.keys()];
  }

  /** Flips one bit of a file, or cuts it off. */
  damage(name: string): void {
    const file = this.#files.get(name);
    if (!file) return;
    const data = Uint8Array.from(file.data);
    const at = Math.floor(this.#random() * data.length);
    if (this.#random() < 0.5) data[at] = (data[at] as number) ^ (1 << Math.floor(this.#random() * 8));
    const damaged = { data: this.#random() < 0.5 ? data : data.subarray(0, at) };
    this.#files.set(name, damaged);
    if (this.#durable.has(name)) this.#durable.set(name, damaged);
  }

  /** The disk as one process sees it. */
  mount(): Disk {
    const own = this.#process;
    const step = async () => {
      await this.#time.sleep(this.#random() * 3);
      if (own !== this.#process) await never;
    };
    return {
      list: async (subfolder = '') => {
        await step();
        const prefix = subfolder === '' ? '' : `${subfolder}/`;
        return this.names()
          .filter((name) => name.startsWith(prefix) && !name.slice(prefix.length).includes('/'))
          .map((name) => name.slice(prefix.length));
      },
      read: async (name) => {
        await step();
        const file = this.#files.get(name);
        if (!file) throw failure('ENOENT');
        return file.data;
      },
      write: async (name, data) => {
        const torn = { data: data.subarray(0, Math.floor(this.#random() * data.length)) };
        this.#files.set(name, this.isFull ? { data: new Uint8Array(0) } : torn);
        await step();
        if (this.isFull) throw failure('ENOSPC');
        const file = { data: Uint8Array.from(data) };
        this.#files.set(name, file);
        // The content is synced; the name is so only with the folder.
        if (this.#durable.has(name)) this.#durable.set(name, file);
      },
      overwrite: async (name, position, data) => {
        const file = this.#files.get(name);
        if (!file) throw failure('ENOENT');
        const change = (count: number) => {
          const changed = { data: Uint8Array.from(file.data) };
          changed.data.set(data.subarray(0, count), position);
          this.#files.set(name, changed);
          if (this.#durable.has(name)) this.#durable.set(name, changed);
        };
        change(Math.floor(this.#random() * data.length));
        await step();
        change(data.length);
      },
      rename: async (from, to) => {
        await step();
        const file = this.#files.get(from);
        if (!file) throw failure('ENOENT');
        this.#files.set(to, file);
        this.#files.delete(from);
      },
      remove: async (name) => {
        await step();
        if (!this.#files.delete(name)) throw failure('ENOENT');
      },
      sync: async () => {
        await step();
        this.#durable = new Map(this.#files);
      },
    };
  }
}

function failure(code: string): Error {
  return Object.assign(new Error(code), { code });
}
