/** Everybody on the floor plan: one canvas, drawn anew as they move. */

import { ON_PERSON, personColour } from "./colours.js";
import { HORIZONS_S, predictPath } from "./predict.js";

const TRAIL_S = 20;
const TRAIL_STEP_M = 0.2;
const TRAIL_STEPS_MAX = 120;
const TRAIL_BANDS = [0.12, 0.25, 0.45, 0.7, 0.95]; // how strong a trail's parts are, from its end to its pin
const GLIDE_MS = 220; // a pin glides to a new position instead of jumping
const FADE_MS = 1200;
const HIT_PX = 26;
const MOVING_MPS = 0.25;
const NINETY_FIVE = Math.sqrt(5.991); // standard deviations: 95 % of a normal distribution in the plane
const calm = matchMedia("(prefers-reduced-motion: reduce)");

export class Walkers {
  shows = { trails: true, uncertainty: false, paths: false };
  #people = new Map(); // person -> { person, to, from, movedAt, seenAt, isHere, trail }
  #busyUntil = 0;
  #style = null;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {import("./selection.js").Selection} selection
   */
  constructor(canvas, selection) {
    this.canvas = canvas;
    this.selection = selection;
  }

  clear() {
    this.#people.clear();
  }

  /** Forget the colours: another theme has others. */
  restyle() {
    this.#style = null;
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
   * Draw everybody.
   * @param {CanvasRenderingContext2D} context
   * @param {{pixel: (point: number[]) => number[], scale: number}} view how metres lie on the screen
   */
  draw(context, view, now) {
    this.#style ??= styleOf(this.canvas);
    const entries = [...this.#people.values()].sort((a, b) => this.#rank(a) - this.#rank(b));
    context.lineJoin = context.lineCap = "round";
    for (const entry of entries) {
      const isMarked = this.selection.marks(entry.person.person);
      const strength = this.#strength(entry, now);
      if (strength === 0) continue;
      const place = glide(entry, now);
      if (this.shows.trails) drawTrail(context, view, entry, place, strength, isMarked);
      if (this.shows.uncertainty || isMarked) drawUncertainty(context, view, entry.person, place, strength);
      if (this.shows.paths || isMarked) drawPath(context, view, entry.person, place, strength);
    }
    for (const entry of entries) this.#drawPin(context, view, entry, now);
    context.globalAlpha = 1;
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

  #drawPin(context, view, entry, now) {
    const { person } = entry;
    const strength = this.#strength(entry, now);
    if (strength === 0) return;
    const isMarked = this.selection.marks(person.person);
    const [x, y] = view.pixel(glide(entry, now));
    context.globalAlpha = strength;
    drawHeading(context, person, x, y);
    drawMarker(context, x, y, {
      person: person.person,
      size: isMarked ? 15 : 12,
      rim: isMarked ? this.#style.accent : this.#style.rim,
      font: this.#style.font,
      isSeen: person.cameras.length > 0,
    });
  }
}

function styleOf(canvas) {
  const style = getComputedStyle(canvas);
  return { accent: style.getPropertyValue("--accent"), rim: style.getPropertyValue("--pin-rim"), font: style.fontFamily };
}

function glide({ from, to, movedAt }, now) {
  if (calm.matches) return to;
  const share = Math.min(1, (now - movedAt) / GLIDE_MS);
  return [from[0] + (to[0] - from[0]) * share, from[1] + (to[1] - from[1]) * share];
}

function drawTrail(context, view, { person, trail }, place, strength, isMarked) {
  if (!trail.length) return;
  context.strokeStyle = personColour(person.person);
  context.lineWidth = isMarked ? 5 : 3;
  const steps = trail.length; // to the pin is one more
  let begin = 0;
  for (const [band, alpha] of TRAIL_BANDS.entries()) {
    const end = Math.round(((band + 1) * steps) / TRAIL_BANDS.length);
    if (end === begin) continue;
    context.globalAlpha = alpha * strength;
    context.beginPath();
    for (let step = begin; step <= end; step += 1) {
      const point = step < steps ? [trail[step][1], trail[step][2]] : place;
      const [x, y] = view.pixel(point);
      if (step === begin) context.moveTo(x, y);
      else context.lineTo(x, y);
    }
    context.stroke();
    begin = end;
  }
}

/** The ellipse in which somebody is with 95 %; a circle where only the worst direction is known. */
function drawUncertainty(context, view, { person, std_m: std, cov_m2: cov }, place, strength) {
  const [xx, xy, yy] = cov ?? [std ** 2, 0, std ** 2];
  const [mean, half] = [(xx + yy) / 2, Math.hypot((xx - yy) / 2, xy)];
  const radius = (variance) => Math.max(4, NINETY_FIVE * Math.sqrt(Math.max(variance, 0)) * view.scale);
  const [x, y] = view.pixel(place);
  const angle = -0.5 * Math.atan2(2 * xy, xx - yy); // the map's y runs up, the screen's down
  context.fillStyle = context.strokeStyle = personColour(person);
  context.lineWidth = 1.5;
  context.beginPath();
  context.ellipse(x, y, radius(mean + half), radius(mean - half), angle, 0, 2 * Math.PI);
  context.globalAlpha = 0.18 * strength;
  context.fill();
  context.globalAlpha = 0.7 * strength;
  context.stroke();
}

function drawPath(context, view, person, place, strength) {
  if (Math.hypot(person.vx_mps, person.vy_mps) < MOVING_MPS) return;
  const [dx, dy] = [place[0] - person.x_m, place[1] - person.y_m]; // begins at the pin, which glides
  context.strokeStyle = context.fillStyle = personColour(person.person);
  context.globalAlpha = 0.85 * strength;
  context.lineWidth = 2;
  context.setLineDash([2, 6]);
  context.beginPath();
  context.moveTo(...view.pixel(place));
  let end = place;
  for (const [x, y] of predictPath(person, HORIZONS_S)) {
    end = [x + dx, y + dy];
    context.lineTo(...view.pixel(end));
  }
  context.stroke();
  context.setLineDash([]);
  context.beginPath();
  context.arc(...view.pixel(end), 3.5, 0, 2 * Math.PI);
  context.fill();
}

function drawHeading(context, person, x, y) {
  const speed = Math.hypot(person.vx_mps, person.vy_mps);
  if (speed < MOVING_MPS) return;
  const [ux, uy] = [person.vx_mps / speed, -person.vy_mps / speed]; // the map's y runs up, the screen's down
  const reach = 13 + Math.min(speed, 3) * 5;
  const point = (along, across) => [x + ux * along - uy * across, y + uy * along + ux * across];
  context.fillStyle = personColour(person.person);
  context.beginPath();
  context.moveTo(...point(reach, 0));
  context.lineTo(...point(reach - 9, -5));
  context.lineTo(...point(reach - 6.5, 0));
  context.lineTo(...point(reach - 9, 5));
  context.closePath();
  context.fill();
}

function drawMarker(context, x, y, { person, size, rim, font, isSeen }) {
  const centre = y - size - 7;
  const label = String(person);
  context.beginPath();
  context.arc(x, centre, size, Math.PI * 0.8, Math.PI * 2.2);
  context.lineTo(x, y);
  context.closePath();
  context.fillStyle = personColour(person);
  context.fill();
  context.lineWidth = 2;
  context.strokeStyle = rim;
  if (!isSeen) context.setLineDash([3, 3]); // nobody sees them now: where they are is a guess
  context.stroke();
  context.setLineDash([]);
  context.fillStyle = ON_PERSON;
  context.font = `700 ${label.length > 2 ? size * 0.8 : size}px ${font}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(label, x, centre + 0.5);
}
