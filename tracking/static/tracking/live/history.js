/** Where everybody was in some minutes of history, asked for in stretches and put between the stored points. */

import { ask } from "./api.js";

const STRETCH_MS = 60_000;
const MAX_POINTS = 10_000;
const GAP_MS = 3_000; // a track that is silent for longer was not there
const SETTLED_MS = 5_000; // points are stored a little later than they happen
const KEPT = 12; // stretches

export class History {
  #asked = new Map(); // number of a stretch -> Promise of its tracks
  #tracks = new Map(); // number of a stretch -> { tracks: [points of a track, ...], untilMs: up to when it is known }

  /** @param {string} slug */
  constructor(slug) {
    this.slug = slug;
  }

  /**
   * Have a range of time fetched, and begin with what follows it. Rejects with what went wrong.
   * @param {number} sinceMs @param {number} untilMs
   */
  async load(sinceMs, untilMs) {
    const [first, last] = [numberOf(sinceMs), numberOf(untilMs)];
    this.#fetch(last + 1).catch(() => {}); // it is asked for again when it is needed
    await Promise.all(Array.from({ length: last - first + 1 }, (_, index) => this.#fetch(first + index)));
  }

  /** Say whether what is loaded covers an instant. */
  covers(atMs) {
    return atMs < (this.#tracks.get(numberOf(atMs))?.untilMs ?? -Infinity);
  }

  #fetch(number) {
    let asked = this.#asked.get(number);
    if (!asked) {
      asked = this.#ask(number);
      this.#asked.set(number, asked);
      asked.catch(() => this.#asked.delete(number));
    }
    return asked;
  }

  async #ask(number) {
    // a little more at both ends, so that who is between two points there is not lost
    const since = new Date(number * STRETCH_MS - GAP_MS).toISOString();
    const until = new Date((number + 1) * STRETCH_MS + GAP_MS).toISOString();
    const query = new URLSearchParams({ environment: this.slug, since, until, max_points: String(MAX_POINTS) });
    const askedMs = Date.now();
    const { results } = await ask("GET", `/api/v1/positions/history/?${query}`);
    const tracks = new Map();
    for (const point of results) {
      if (!tracks.has(point.track)) tracks.set(point.track, []);
      tracks.get(point.track).push({ ...point, ms: Date.parse(point.at) });
    }
    const isOver = (number + 1) * STRETCH_MS + GAP_MS + SETTLED_MS < askedMs;
    this.#tracks.set(number, { tracks: [...tracks.values()], untilMs: isOver ? Infinity : askedMs - SETTLED_MS });
    this.#forget();
    if (!isOver) this.#asked.delete(number); // more of it is still to come
  }

  #forget() {
    for (const oldest of this.#tracks.keys()) {
      if (this.#tracks.size <= KEPT) break;
      this.#tracks.delete(oldest);
      this.#asked.delete(oldest);
    }
  }

  /** Give who was where at an instant, shaped as in a live message. */
  at(atMs) {
    return (this.#tracks.get(numberOf(atMs))?.tracks ?? []).flatMap((points) => between(points, atMs));
  }
}

function numberOf(ms) {
  return Math.floor(ms / STRETCH_MS);
}

/** Give where a track was at an instant, in a list; an empty one where it was not. */
export function between(points, atMs) {
  let low = 0;
  let high = points.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle].ms <= atMs) low = middle + 1;
    else high = middle;
  }
  const [before, after] = [points[low - 1], points[low]];
  if (!before) return [];
  if (!after || after.ms - before.ms > GAP_MS) return atMs - before.ms < 500 ? [before] : [];
  const share = (atMs - before.ms) / (after.ms - before.ms);
  const mix = (name) => before[name] + (after[name] - before[name]) * share;
  return [{ ...before, x_m: mix("x_m"), y_m: mix("y_m"), vx_mps: mix("vx_mps"), vy_mps: mix("vy_mps"), std_m: mix("std_m") }];
}
