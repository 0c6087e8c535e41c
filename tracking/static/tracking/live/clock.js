/** The server's clock as seen from here, and figures of the last seconds. */

const OBSERVATIONS = 24;

export class Clock {
  #offsets = [];

  /**
   * Note the server's time in a message that has just arrived.
   *
   * Of all offsets seen lately the smallest is the one that the network delayed least.
   * @param {number} serverMs
   */
  observe(serverMs) {
    this.#offsets.push(Date.now() - serverMs);
    if (this.#offsets.length > OBSERVATIONS) this.#offsets.shift();
  }

  /** Forget what was seen: another server may answer next time. */
  reset() {
    this.#offsets = [];
  }

  /** How far this machine's clock is ahead of the server's, in ms; null while nothing is known. */
  get offsetMs() {
    return this.#offsets.length ? Math.min(...this.#offsets) : null;
  }

  /** Give the server's time now, in ms. */
  now() {
    return Date.now() - (this.offsetMs ?? 0);
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
