import { readdirSync, statfsSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import si from 'systeminformation';
import { readProcText } from './proc-file.ts';

/** Totals of the host beside CPU, which comes with the sweep. Null: not known here. */
export interface SystemTotals {
  /** In use, in percent of all memory; page cache that can be dropped is not in use. */
  memory: number | null;
  swap: number | null;
  /** Used space of `/`, percent. */
  disk: number | null;
  load1: number | null;
  /** Degrees Celsius. */
  temperature: number | null;
}

type SlowTotals = Pick<SystemTotals, 'disk' | 'temperature'>;

/** Disk and temperature change slowly and are dear to ask for. */
const slowRefreshMs = 60_000;

/**
 * Reads the totals with systeminformation. On Linux its disk and temperature functions start a shell, so
 * there those two are read from the kernel: a collector there never has a child process.
 */
export class SystemTotalsReader {
  #dear: SlowTotals = { disk: null, temperature: null };
  #dearAt = -Infinity;
  readonly #linux = process.platform === 'linux';

  async read(monotonic: number): Promise<SystemTotals> {
    if (monotonic - this.#dearAt >= slowRefreshMs) {
      this.#dear = this.#linux ? { disk: rootDisk(), temperature: thermalZone() } : await readSlowTotals();
      this.#dearAt = monotonic;
    }
    const memory = await si.mem();
    return {
      memory: percent(memory.total - memory.available, memory.total),
      swap: percent(memory.swapused, memory.swaptotal),
      load1: process.platform === 'win32' ? null : (loadavg()[0] ?? null),
      ...this.#dear,
    };
  }
}

function percent(part: number, whole: number): number | null {
  return whole > 0 ? (part / whole) * 100 : null;
}

/** As df computes it: of the space ordinary users can have. */
function rootDisk(): number | null {
  try {
    const { blocks, bfree, bavail } = statfsSync('/');
    return percent(blocks - bfree, blocks - bfree + bavail);
  } catch {
    return null;
  }
}

const thermalRoot = '/sys/class/thermal';

/** The hottest zone. */
function thermalZone(): number | null {
  try {
    const zones = readdirSync(thermalRoot).filter((zone) => zone.startsWith('thermal_zone'));
    const degrees = zones
      .map((zone) => Number(readProcText(join(thermalRoot, zone, 'temp')) ?? Number.NaN) / 1000)
      .filter((value) => value > -100 && value < 1000);
    return degrees.length === 0 ? null : Math.max(...degrees);
  } catch {
    return null;
  }
}

async function readSlowTotals(): Promise<SlowTotals> {
  const [disks, temperature] = await Promise.all([si.fsSize(), si.cpuTemperature()]);
  const root = disks.find((disk) => disk.mount === '/') ?? disks[0];
  return { disk: root?.use ?? null, temperature: temperature.main ?? null };
}
