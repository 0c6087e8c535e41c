/** Asks the server what the pairs are worth, without saving: at once, but not for every step of a drag. */

import { ask } from "../shared/rest.js";
import { Model } from "../shared/camera_model.js";

const WAIT_MS = 90;

export class Fitting extends EventTarget {
  /** The newest answer, and the error where there is none: `{numbers, model}` or null. */
  found = null;
  problem = "";
  isAsking = false;
  #timer = null;
  #running = null;
  #asked = "";

  /** @param {string} url */
  constructor(url) {
    super();
    this.url = url;
  }

  /** @param {object[]} pairs whole ones @param {string} kind of fit, or empty for the best */
  ask(pairs, kind) {
    const body = { point_pairs: pairs, ...(kind ? { kind } : {}) };
    const asked = JSON.stringify(body);
    if (asked === this.#asked) return;
    this.#asked = asked;
    clearTimeout(this.#timer);
    if (pairs.length < 4) {
      this.#running?.abort();
      this.isAsking = false;
      this.#answer(null, "");
      return;
    }
    this.isAsking = true;
    this.#timer = setTimeout(() => this.#send(body), WAIT_MS);
  }

  async #send(body) {
    this.#running?.abort();
    const running = (this.#running = new AbortController());
    try {
      const numbers = await ask("POST", this.url, { body, signal: running.signal });
      this.isAsking = false;
      this.#answer({ numbers, model: new Model(numbers) }, "");
    } catch (error) {
      if (error.name === "AbortError") return; // newer pairs are on their way
      this.isAsking = false;
      this.#answer(null, error.message);
    }
  }

  #answer(found, problem) {
    this.found = found;
    this.problem = problem;
    this.dispatchEvent(new Event("change"));
  }
}
