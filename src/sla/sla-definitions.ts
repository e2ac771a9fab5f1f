import type { Clock } from '../core/clock.ts';
import { MonitorError, messageOf } from '../core/error.ts';
import { every } from '../platform/every.ts';
import type { Log } from '../platform/log.ts';
import type { SlaDefinition } from './sla.ts';
import type { Slas } from './slas.ts';

const everyMs = 5000;

/** A file with SLAs that somebody writes. */
export interface SlaDefinitionsFile {
  /** Another text whenever it has changed; null: it is not there. */
  version(): string | null;
  /** @throws MonitorError `invalid` that says what is wrong, and where */
  read(): ReadonlyMap<string, SlaDefinition>;
}

/** Follows the file while it changes. What cannot be read changes nothing, and is said once. */
export class SlaDefinitions {
  readonly #file: SlaDefinitionsFile | undefined;
  readonly #slas: Slas;
  readonly #clock: Clock;
  readonly #log: Log;
  #version: string | null | undefined;
  #stop: () => void = () => undefined;

  constructor(file: SlaDefinitionsFile | undefined, slas: Slas, clock: Clock, log: Log) {
    this.#file = file;
    this.#slas = slas;
    this.#clock = clock;
    this.#log = log;
  }

  start(): void {
    if (this.#file === undefined) return;
    const failed = (error: unknown) => this.#log.error({ err: error }, 'cannot follow the file of SLAs');
    this.#stop = every(everyMs, () => this.look(), failed, { immediately: true });
  }

  close(): void {
    this.#stop();
  }

  async look(): Promise<void> {
    const version = this.#file?.version();
    if (this.#file === undefined || version === this.#version) return;
    try {
      await this.#slas.follow(this.#file.read(), this.#clock.now());
    } catch (error) {
      this.#log.warn(`SLAs stay as they were: ${messageOf(error)}`);
      // Where they are kept is away: they are wanted all the same.
      if (error instanceof MonitorError && error.code === 'unavailable') return;
    }
    this.#version = version;
  }
}
