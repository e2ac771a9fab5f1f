import { MonitorError } from '../core/error.ts';
import { checkDefinition, currentOf, isSameDefinition, type Sla, type SlaDefinition, type SlaVersion } from './sla.ts';

/** Where definitions outlast a restart. */
export interface SlaStorage {
  slas: readonly Sla[];
  /** Resolves once they are on disk. */
  keep(slas: readonly Sla[]): Promise<void>;
  /** As others have changed them meanwhile; absent: nobody else does. */
  read?(): Promise<readonly Sla[]>;
}

const mostSlas = 100;
const clockToleranceMs = 86_400_000;
const mostVersions = 100;
/** Nobody asks for what ended before that. */
const keptMs = 62 * 86_400_000;

/** What is promised, with what was promised before. */
export class Slas {
  readonly #kept: SlaStorage | undefined;
  readonly #hasFile: boolean;
  #slas: ReadonlyMap<string, Sla>;
  /** One change follows the other. */
  #tail: Promise<unknown> = Promise.resolve();

  /** @param hasFile whether there is a file to follow: who had one and has none may change them all */
  constructor(kept: SlaStorage | undefined, hasFile = false) {
    this.#kept = kept;
    this.#hasFile = hasFile;
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
   * @throws MonitorError `invalid`, `conflict` for one that stands in the file or when the clock is behind, and
   * `unavailable` when it cannot be kept: then nothing has changed
   */
  set(id: string, definition: SlaDefinition, now: number): Promise<Sla> {
    return this.#change(() => {
      checkDefinition(definition);
      const known = this.#slas.get(id);
      this.#refuseFromFile(known);
      if (known === undefined && this.#slas.size >= mostSlas)
        throw new MonitorError('invalid', `there are ${mostSlas} SLAs, and that is the most; delete one first`);
      if (known !== undefined && isSameDefinition(currentOf(known), definition))
        return { slas: this.#slas, result: known };
      const sla: Sla = { id, versions: withVersion(known, definition, now) };
      return { slas: new Map(this.#slas).set(id, sla), result: sla };
    });
  }

  /** @throws MonitorError `not_found`, and `conflict` and `unavailable` as `set` */
  remove(id: string): Promise<Sla> {
    return this.#change(() => {
      const sla = this.get(id);
      this.#refuseFromFile(sla);
      const slas = new Map(this.#slas);
      slas.delete(id);
      return { slas, result: sla };
    });
  }

  /**
   * What a file says now: those that it does not have any more are deleted, all others stay as they are.
   * @throws MonitorError `invalid` for too many, `conflict` and `unavailable` as `set`
   */
  follow(definitions: ReadonlyMap<string, SlaDefinition>, now: number): Promise<void> {
    return this.#replace((sla) => sla.isFromFile === true, definitions, now, { isFromFile: true });
  }

  /**
   * Those whose ids begin so are these from now on, all of them or none.
   * @throws MonitorError as `set`
   */
  async setAll(prefix: string, definitions: ReadonlyMap<string, SlaDefinition>, now: number): Promise<void> {
    for (const [id, definition] of definitions) {
      checkDefinition(definition);
      this.#refuseFromFile(this.#slas.get(id));
    }
    await this.#replace(({ id, isFromFile }) => id.startsWith(prefix) && !isFromFile, definitions, now, {});
  }

  async #replace(
    isMeant: (sla: Sla) => boolean,
    definitions: ReadonlyMap<string, SlaDefinition>,
    now: number,
    mark: Pick<Sla, 'isFromFile'>,
  ): Promise<void> {
    await this.#change(() => {
      const slas = new Map([...this.#slas].filter(([id, sla]) => !isMeant(sla) || definitions.has(id)));
      let isNew = slas.size < this.#slas.size;
      for (const [id, definition] of definitions) {
        const known = this.#slas.get(id);
        const isSame = known !== undefined && isSameDefinition(currentOf(known), definition);
        if (isSame && known.isFromFile === mark.isFromFile) continue;
        isNew = true;
        slas.set(id, { id, versions: isSame ? known.versions : withVersion(known, definition, now, true), ...mark });
      }
      if (isNew && slas.size > mostSlas)
        throw new MonitorError('invalid', `there would be ${slas.size} SLAs, and ${mostSlas} is the most`);
      return { slas: isNew ? slas : this.#slas, result: null };
    });
  }

  #refuseFromFile(sla: Sla | undefined): void {
    if (this.#hasFile && sla?.isFromFile)
      throw new MonitorError('conflict', `the SLA '${sla.id}' stands in the file that --slas names; change it there`);
  }

  /** What other servers have been told. */
  refresh(): Promise<void> {
    const done = this.#tail.then(() => this.#read());
    this.#tail = done.catch(() => undefined);
    return done;
  }

  async #read(): Promise<void> {
    if (this.#kept?.read) this.#slas = new Map((await this.#kept.read()).map((sla) => [sla.id, sla]));
  }

  #change<R>(change: () => { slas: ReadonlyMap<string, Sla>; result: R }): Promise<R> {
    const done = this.#tail.then(async () => {
      await this.#read();
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

/** @param isForgetful gives up the oldest of too many instead of refusing: nobody is there to be told */
function withVersion(
  known: Sla | undefined,
  definition: SlaDefinition,
  now: number,
  isForgetful = false,
): SlaVersion[] {
  const versions = known?.versions ?? [];
  if (now < (versions[0]?.since ?? now) - clockToleranceMs)
    throw new MonitorError(
      'conflict',
      `this server's clock says ${new Date(now).toISOString()}, which is before '${known?.id}' was first defined; mend the clock first`,
    );
  // What was defined by a clock that was ahead has never been in force.
  const inForce = versions.filter(({ since }, index) => index === 0 || since < now);
  const before = inForce.filter((_, index) => (inForce[index + 1]?.since ?? now) > now - keptMs);
  if (before.length >= mostVersions && !isForgetful)
    throw new MonitorError(
      'conflict',
      `'${known?.id}' was changed ${mostVersions} times in two months; delete it, and define it anew`,
    );
  return [...before.slice(-mostVersions + 1), { ...definition, since: now }];
}
