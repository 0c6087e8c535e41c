/** Everybody on the floor plan: pins that glide, drawn as often as the screen is, over trails that are drawn as they grow. */

import { drawHeading, drawPath, drawTrail, drawUncertainty, Pins } from "./marks.js";

const TRAIL_S = 20;
const TRAIL_STEP_M = 0.2;
const TRAIL_STEPS_MAX = 120;
const GLIDE_MS = 220; // a pin glides to a new position instead of jumping
const FADE_MS = 1200;
const HIT_PX = 26;
const calm = matchMedia("(prefers-reduced-motion: reduce)");

export class Walkers {
  shows = { trails: true, uncertainty: false, paths: false };
  #people = new Map(); // person -> { person, to, from, movedAt, seenAt, isHere, trail }
  #busyUntil = 0;

  /**
   * @param {HTMLCanvasElement} canvas whose style says what pins look like
   * @param {import("./selection.js").Selection} selection
   */
  constructor(canvas, selection) {
    this.selection = selection;
    this.pins = new Pins(canvas);
  }

  clear() {
    this.#people.clear();
  }

  /** Forget the colours: another theme has others. */
  restyle() {
    this.pins.clear();
  }

  /** Move everybody to where a message says they are. */
  move(people, atMs, now) {
    const here = new Set();
    for (const person of people) {
      here.add(person.person);
      this.#step(person, atMs, now);
    }
    for (const [number, entry] of this.#people) {
      if (!here.has(number)) entry.isHere = false;
      if (now - entry.seenAt > TRAIL_S * 1000) this.#people.delete(number);
    }
    this.#busyUntil = now + Math.max(GLIDE_MS, FADE_MS);
  }

  /** Say whether somebody glides or fades, so that the next picture differs. */
  isBusy(now) {
    return now < this.#busyUntil;
  }

  #step(person, atMs, now) {
    const position = [person.x_m, person.y_m];
    const entry = this.#people.get(person.person);
    if (!entry || atMs < entry.atMs) {
      const trail = [[atMs, ...position]];
      this.#people.set(person.person, { person, from: position, to: position, movedAt: now, seenAt: now, atMs, isHere: true, trail });
      return;
    }
    entry.from = glide(entry, now);
    Object.assign(entry, { person, to: position, movedAt: now, seenAt: now, atMs, isHere: true });
    const [, x, y] = entry.trail.at(-1) ?? [0, Infinity, Infinity];
    if (Math.hypot(position[0] - x, position[1] - y) >= TRAIL_STEP_M) entry.trail.push([atMs, ...position]);
    while (entry.trail.length > TRAIL_STEPS_MAX || (entry.trail.length && entry.trail[0][0] < atMs - TRAIL_S * 1000)) {
      entry.trail.shift();
    }
  }

  /** Give where somebody is, in m; null for who is not here. */
  place(person) {
    const entry = this.#people.get(person);
    return entry?.isHere ? entry.to : null;
  }

  /** Give who stands nearest to a point of the screen, null for nobody near it. */
  at(point, view) {
    let best = null;
    let bestDistance = HIT_PX;
    for (const entry of this.#people.values()) {
      if (!entry.isHere) continue;
      const [x, y] = view.pixel(entry.to);
      const head = Math.hypot(point.x - x, point.y - (y - 20));
      const distance = Math.min(head, Math.hypot(point.x - x, point.y - y));
      if (distance < bestDistance) [best, bestDistance] = [entry.person.person, distance];
    }
    return best;
  }

  /**
   * Draw where everybody came from.
   * @param {CanvasRenderingContext2D} context
   * @param {{pixel: (point: number[]) => number[], scale: number}} view how metres lie on the screen
   */
  drawTrails(context, view, now) {
    if (!this.shows.trails) return;
    context.lineJoin = context.lineCap = "round";
    for (const entry of this.#inOrder()) {
      const strength = this.#strength(entry, now);
      if (strength > 0) drawTrail(context, view, entry, glide(entry, now), strength, this.selection.marks(entry.person.person));
    }
    context.globalAlpha = 1;
  }

  /** Draw everybody where they are now. */
  draw(context, view, now) {
    const shown = this.#inOrder().flatMap((entry) => {
      const strength = this.#strength(entry, now);
      return strength > 0 ? [{ person: entry.person, strength, place: glide(entry, now) }] : [];
    });
    for (const { person, strength, place } of shown) {
      const isMarked = this.selection.marks(person.person);
      if (this.shows.uncertainty || isMarked) drawUncertainty(context, view, person, place, strength);
      if (this.shows.paths || isMarked) drawPath(context, view, person, place, strength);
    }
    for (const { person, strength, place } of shown) {
      const [x, y] = view.pixel(place);
      context.globalAlpha = strength;
      drawHeading(context, person, x, y);
      this.pins.draw(context, person, x, y, this.selection.marks(person.person));
    }
    context.globalAlpha = 1;
  }

  #inOrder() {
    return [...this.#people.values()].sort((a, b) => this.#rank(a) - this.#rank(b));
  }

  #rank(entry) {
    // those who stand out last, so that they lie on top; the others from the back to the front
    return (this.selection.marks(entry.person.person) ? 1e6 : 0) - entry.to[1];
  }

  #strength(entry, now) {
    const presence = entry.isHere ? 1 : Math.max(0, 1 - (now - entry.seenAt) / FADE_MS);
    const stepsBack = this.selection.isActive && !this.selection.marks(entry.person.person);
    return presence * (stepsBack ? 0.5 : 1);
  }
}

function glide({ from, to, movedAt }, now) {
  if (calm.matches) return to;
  const share = Math.min(1, (now - movedAt) / GLIDE_MS);
  return [from[0] + (to[0] - from[0]) * share, from[1] + (to[1] - from[1]) * share];
}
