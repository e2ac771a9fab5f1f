/** When a probability becomes an AMBER, and when it stops being one. */
export interface AmberPolicy {
  /** AMBER begins after `evaluations` in a row at this probability or above... */
  on: number;
  evaluations: number;
  /** ...or at once at this one. */
  sure: number;
  /** It may end below this... */
  off: number;
  /** ...after so many evaluations: an alarm that comes and goes is worse than none. */
  hold: number;
}

/**
 * `balanced` colours the screen, `quiet` decides what is worth a notification. Chosen with training/policies.py
 * and a closer look around its answer: balanced for the best F1 over all sources, quiet for the most breaches
 * warned of at a precision of about 0.6.
 */
export const policies = {
  balanced: { on: 0.2, evaluations: 2, sure: 0.5, off: 0.16, hold: 5 },
  quiet: { on: 0.36, evaluations: 2, sure: 0.45, off: 0.25, hold: 5 },
} as const satisfies Record<string, AmberPolicy>;
export type PolicyName = keyof typeof policies;

/** Follows one series. */
export class AmberState {
  isOn: boolean;
  /** Evaluations since it began. */
  #age = 0;
  #above = 0;
  readonly #policy: AmberPolicy;

  constructor(policy: AmberPolicy, isOn = false) {
    this.#policy = policy;
    this.isOn = isOn;
  }

  /**
   * Whether it is AMBER with the probability of the newest step: null while the value is missing, which
   * changes nothing. A breach ends an AMBER: it has come true.
   */
  next(probability: number | null, isBreach: boolean): boolean {
    if (isBreach) this.end();
    else if (probability !== null) {
      if (this.isOn) this.#mayEnd(probability);
      else this.#mayBegin(probability);
    }
    return this.isOn;
  }

  end(): void {
    this.#set(false);
  }

  #mayBegin(probability: number): void {
    const { on, evaluations, sure } = this.#policy;
    this.#above = probability >= on ? this.#above + 1 : 0;
    if (probability >= sure || this.#above >= evaluations) this.#set(true);
  }

  #mayEnd(probability: number): void {
    this.#age++;
    if (probability < this.#policy.off && this.#age >= this.#policy.hold) this.#set(false);
  }

  #set(isOn: boolean): void {
    this.isOn = isOn;
    this.#above = 0;
    this.#age = 0;
  }
}
