import { MonitorError } from '../core/error.ts';
import { checkDefinition, currentOf, isSameDefinition, type Sla, type SlaDefinition } from './sla.ts';

/** Where definitions outlast a restart. */
export interface SlaStorage {
  slas: readonly Sla[];
  /** Resolves once they are on disk. */
  keep(slas: readonly Sla[]): Promise<void>;
}

const mostSlas = 200;
/** Who changes one more often does not mean its history. */
const mostVersions = 100;

/** What is promised, with what was promised before. */
export class Slas {
  readonly #kept: SlaStorage | undefined;
  #slas: ReadonlyMap<string, Sla>;
  /** One change follows the other. */
  #tail: Promise<unknown> = Promise.resolve();

  constructor(kept: SlaStorage | undefined) {
    this.#kept = kept;
    this.#slas = new Map((kept?.slas ?? []).map((sla) => [sla.id, sla]));
  }

  /** By id. */
  all(): Sla[] {
    return [...this.#slas.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** @throws MonitorError `not_found` */
  get(id: string): Sla {
    const sla = this.#slas.get(id);
    if (sla === undefined)
      throw new MonitorError('not_found', `there is no SLA '${id}'; GET /v1/slas lists those there are`);
    return sla;
  }

  /**
   * Defines it, or changes it from now on: what was before stays judged as it was.
   * @throws MonitorError `invalid`, and `unavailable` when it cannot be kept: then nothing has changed
   */
  set(id: string, definition: SlaDefinition, now: number): Promise<Sla> {
    return this.#change(() => {
      checkDefinition(definition);
      const known = this.#slas.get(id);
      if (known === undefined && this.#slas.size >= mostSlas)
        throw new MonitorError('invalid', `there are ${mostSlas} SLAs, and that is the most; delete one first`);
      if (known !== undefined && isSameDefinition(currentOf(known), definition))
        return { slas: this.#slas, result: known };
      const versions = [...(known?.versions ?? []), { ...definition, since: now }].slice(-mostVersions);
      const sla: Sla = { id, versions };
      return { slas: new Map(this.#slas).set(id, sla), result: sla };
    });
  }

  /** @throws MonitorError `not_found`, and `unavailable` as `set` */
  remove(id: string): Promise<Sla> {
    return this.#change(() => {
      const sla = this.get(id);
      const slas = new Map(this.#slas);
      slas.delete(id);
      return { slas, result: sla };
    });
  }

  #change(change: () => { slas: ReadonlyMap<string, Sla>; result: Sla }): Promise<Sla> {
    const done = this.#tail.then(async () => {
      const { slas, result } = change();
      if (slas === this.#slas) return result;
      await this.#kept?.keep([...slas.values()]).catch((error: unknown) => {
        const message = 'the server cannot save the SLA, so nothing has changed; its log says why';
        throw new MonitorError('unavailable', message, { cause: error });
      });
      this.#slas = slas;
      return result;
    });
    this.#tail = done.catch(() => undefined);
    return done;
  }
}
