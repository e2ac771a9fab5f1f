/** When a probability becomes an AMBER, and when it stops being one. */
export interface AlarmPolicy {
  /** AMBER begins at this probability. */
  on: number;
  /** It may end below this. */
  off: number;
  /** Evaluations in a row at `on` or above before it begins. */
  evaluations: number;
  /** Evaluations it lasts at least: an alarm that comes and goes is worse than none. */
  hold: number;
}

/** Follows one series. */
export class AmberState {
  /** Whether the series is AMBER now. */
  isOn = false;
  /** Evaluations since it began. */
  #age = 0;
  #above = 0;
  readonly #policy: AlarmPolicy;

  constructor(policy: AlarmPolicy) {
    this.#policy = policy;
  }

  /**
   * Takes in the probability of the newest step: null while the value is missing, which changes nothing.
   * A breach ends an AMBER: it has come true.
   */
  next(probability: number | null, isBreach: boolean): boolean {
    if (isBreach) {
      this.isOn = false;
      this.#above = 0;
    } else if (probability !== null) {
      if (this.isOn) this.#mayEnd(probability);
      else this.#mayBegin(probability);
    }
    return this.isOn;
  }

  #mayBegin(probability: number): void {
    this.#above = probability >= this.#policy.on ? this.#above + 1 : 0;
    this.isOn = this.#above >= this.#policy.evaluations;
    this.#age = 0;
  }

  #mayEnd(probability: number): void {
    this.#age++;
    if (probability >= this.#policy.off || this.#age < this.#policy.hold) return;
    this.isOn = false;
    this.#above = 0;
  }
}
