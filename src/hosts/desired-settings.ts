import { type DesiredSettings, isSameDesired, nothingDesired } from '../core/collector-settings.ts';
import { MonitorError } from '../core/error.ts';

/** Where it outlasts a restart: what is wanted of each host's collector. */
export interface DesiredSettingsStorage {
  hosts: Readonly<Record<string, DesiredSettings>>;
  /** Resolves once it is on disk. */
  keep(hosts: Readonly<Record<string, DesiredSettings>>): Promise<void>;
  /** As others have changed it meanwhile; absent: nobody else does. */
  read?(): Promise<Readonly<Record<string, DesiredSettings>>>;
}

/** What somebody wants of the collectors. Each learns it with the answer to its next snapshot. */
export class DesiredSettingsOfHosts {
  readonly #kept: DesiredSettingsStorage | undefined;
  #hosts: ReadonlyMap<string, DesiredSettings>;
  /** One change follows the other. */
  #tail: Promise<unknown> = Promise.resolve();

  constructor(kept: DesiredSettingsStorage | undefined) {
    this.#kept = kept;
    this.#hosts = new Map(Object.entries(kept?.hosts ?? {}));
  }

  of(host: string): DesiredSettings {
    return this.#hosts.get(host) ?? nothingDesired;
  }

  /** @throws MonitorError `unavailable` when it cannot be kept; then nothing has changed */
  set(host: string, change: Partial<DesiredSettings>): Promise<DesiredSettings> {
    const done = this.#tail.then(() => this.#set(host, change));
    this.#tail = done.catch(() => undefined);
    return done;
  }

  /** What other servers have been told. */
  refresh(): Promise<void> {
    const done = this.#tail.then(() => this.#read());
    this.#tail = done.catch(() => undefined);
    return done;
  }

  async #read(): Promise<void> {
    if (this.#kept?.read) this.#hosts = new Map(Object.entries(await this.#kept.read()));
  }

  async #set(host: string, change: Partial<DesiredSettings>): Promise<DesiredSettings> {
    await this.#read();
    const desired = { ...this.of(host), ...change };
    if (isSameDesired(desired, this.of(host))) return desired;
    const hosts = new Map(this.#hosts);
    if (isSameDesired(desired, nothingDesired)) hosts.delete(host);
    else hosts.set(host, desired);
    await this.#kept?.keep(Object.fromEntries(hosts)).catch((error: unknown) => {
      const message = `the server cannot save what is wanted of ${host}, so it is not told; its log says why`;
      throw new MonitorError('unavailable', message, { cause: error });
    });
    this.#hosts = hosts;
    return desired;
  }
}
