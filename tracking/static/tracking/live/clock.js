/** The server's clock as seen from here, and figures of the last seconds. */

const KEPT = 12;

export class Clock {
  #answers = []; // { offsetMs, rttMs }

  /**
   * Take what a question for the server's time gave.
   * @param {{offsetMs: number, rttMs: number}} answer by how much the server's clock is ahead; how long it took
   */
  take({ offsetMs, rttMs }) {
    this.#answers.push({ offsetMs, rttMs });
    if (this.#answers.length > KEPT) this.#answers.shift();
  }

  /** Forget what was learned: another server may answer next time. */
  reset() {
    this.#answers = [];
  }

  /** The answer that took the shortest is the surest: it is off by half of that time at most. Null for none. */
  get best() {
    return this.#answers.reduce((best, answer) => (best === null || answer.rttMs < best.rttMs ? answer : best), null);
  }

  /** Give the server's time now, in ms. */
  now() {
    return Date.now() + (this.best?.offsetMs ?? 0);
  }
}

/** Values of the last few seconds. */
export class Recent {
  #entries = [];

  /** @param {number} spanMs */
  constructor(spanMs) {
    this.spanMs = spanMs;
  }

  /** @param {number} value */
  add(value) {
    this.#entries.push([performance.now(), value]);
    this.#fresh();
  }

  #fresh() {
    const oldest = performance.now() - this.spanMs;
    while (this.#entries.length && this.#entries[0][0] < oldest) this.#entries.shift();
    return this.#entries;
  }

  /** Give how many a second there were. */
  rate() {
    return (this.#fresh().length * 1000) / this.spanMs;
  }

  /** Give the sum of all. */
  sum() {
    return this.#fresh().reduce((sum, [, value]) => sum + value, 0);
  }

  /**
   * Give the value that a share of all does not exceed, null when there is none.
   * @param {number} share 0 to 1
   */
  quantile(share) {
    const values = this.#fresh().map(([, value]) => value).sort((a, b) => a - b);
    return values.length ? values[Math.min(values.length - 1, Math.floor(values.length * share))] : null;
  }
}
