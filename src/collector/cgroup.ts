import { join } from 'node:path';
import { readProcText } from './proc-file.ts';

/** Limits that bind everything this collector can see. Null: none. */
export interface CgroupLimits {
  cores: number | null;
  memoryBytes: number | null;
}

export interface CgroupUsage {
  /** Cumulative CPU time in seconds. */
  cpuSeconds: number | null;
  /** Without the page cache that can be dropped at once. */
  memoryBytes: number | null;
}

/** Limits above this are how version 1 says "none". */
const noLimitBytes = 2 ** 60;

/**
 * The cgroup of process 1 as seen from here: in a container the container's, on a host the root's, which
 * has no limits. The collector's own cgroup would be wrong, since a service unit may limit just it.
 */
export class Cgroup {
  readonly #sys: string;
  /** Path by controller; '' is the unified hierarchy of version 2. */
  readonly #paths: Map<string, string>;

  constructor(procRoot = '/proc', sysRoot = '/sys/fs/cgroup') {
    this.#sys = sysRoot;
    this.#paths = parseCgroupFile(readProcText(join(procRoot, '1/cgroup')) ?? '');
  }

  /** Of all levels from the root to the cgroup the tightest limit. */
  limits(): CgroupLimits {
    const unified = this.#levels('').map((folder) => ({
      cores: quota(this.#text(folder, 'cpu.max')),
      memoryBytes: bytes(this.#text(folder, 'memory.max')),
    }));
    const cpu = this.#levels('cpu').map((folder) =>
      quota(`${this.#text(folder, 'cpu.cfs_quota_us')} ${this.#text(folder, 'cpu.cfs_period_us')}`),
    );
    const memory = this.#levels('memory').map((folder) => bytes(this.#text(folder, 'memory.limit_in_bytes')));
    return {
      cores: tightest([...unified.map((level) => level.cores), ...cpu]),
      memoryBytes: tightest([...unified.map((level) => level.memoryBytes), ...memory]),
    };
  }

  /** Of the deepest level that can be seen: inside a container the mount may be that level itself. */
  usage(): CgroupUsage {
    const microseconds = this.#deepest('', (folder) => statValue(this.#text(folder, 'cpu.stat'), 'usage_usec'));
    const nanoseconds = this.#deepest('cpuacct', (folder) => bytes(this.#text(folder, 'cpuacct.usage')));
    return {
      cpuSeconds: microseconds !== null ? microseconds / 1e6 : nanoseconds !== null ? nanoseconds / 1e9 : null,
      memoryBytes:
        this.#deepest('', (folder) => this.#workingSet(folder, 'memory.current', 'inactive_file')) ??
        this.#deepest('memory', (folder) => this.#workingSet(folder, 'memory.usage_in_bytes', 'total_inactive_file')),
    };
  }

  /**
   * CPU time of everything that has run on this machine, in nanoseconds, measured and not sampled. Null where the
   * root of version 1's hierarchy cannot be seen; that of version 2 counts ticks.
   */
  rootCpuNanoseconds(): number | null {
    // Only the root has this file: inside a container the mount may be the container's own cgroup.
    const root = join(this.#sys, 'cpuacct');
    return this.#text(root, 'release_agent') === null ? null : bytes(this.#text(root, 'cpuacct.usage'));
  }

  #deepest(controller: string, read: (folder: string) => number | null): number | null {
    for (const folder of this.#levels(controller).reverse()) {
      const value = read(folder);
      if (value !== null) return value;
    }
    return null;
  }

  #workingSet(folder: string, file: string, cache: string): number | null {
    const used = bytes(this.#text(folder, file));
    return used === null ? null : used - (statValue(this.#text(folder, 'memory.stat'), cache) ?? 0);
  }

  /** Folders from the root of the hierarchy down to the cgroup. */
  #levels(controller: string): string[] {
    const path = this.#paths.get(controller);
    // A path that leads upwards lies outside what is mounted here: its limits cannot be read.
    if (path === undefined || path.startsWith('/..')) return [];
    const root = join(this.#sys, controller);
    const parts = path.split('/').filter((part) => part !== '');
    return [root, ...parts.map((_, index) => join(root, ...parts.slice(0, index + 1)))];
  }

  #text(folder: string, file: string): string | null {
    return readProcText(join(folder, file))?.trim() ?? null;
  }
}

/** `4:memory:/docker/abc` and `0::/` by controller. */
function parseCgroupFile(text: string): Map<string, string> {
  const entries = text
    .split('\n')
    .map((line) => /^\d+:([^:]*):(.*)$/.exec(line))
    .filter((match) => match !== null)
    .flatMap(([, controllers = '', path = '']) =>
      controllers.split(',').map((controller) => [controller, path] as const),
    );
  return new Map(entries);
}

/** `150000 100000` is one and a half cores; `max` or a quota of -1 is no limit. */
function quota(text: string | null): number | null {
  const [microseconds, period] = (text ?? '').split(' ').map(Number);
  return microseconds && period && microseconds > 0 ? microseconds / period : null;
}

function bytes(text: string | null): number | null {
  const value = text === null || text === '' ? Number.NaN : Number(text);
  return Number.isFinite(value) && value < noLimitBytes ? value : null;
}

function statValue(text: string | null, key: string): number | null {
  const line = text?.split('\n').find((candidate) => candidate.startsWith(`${key} `));
  return line === undefined ? null : Number(line.slice(key.length + 1));
}

function tightest(limits: readonly (number | null)[]): number | null {
  const known = limits.filter((limit) => limit !== null);
  return known.length === 0 ? null : Math.min(...known);
}
