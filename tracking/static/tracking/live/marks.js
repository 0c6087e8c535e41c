/** How a person is marked on the floor plan: trail, uncertainty, way ahead, heading and pin. */

import { ON_PERSON, personColour } from "./colours.js";
import { HORIZONS_S, predictPath } from "./predict.js";

const TRAIL_BANDS = [0.12, 0.25, 0.45, 0.7, 0.95]; // how strong a trail's parts are, from its end to its pin
const MOVING_MPS = 0.25;
const NINETY_FIVE = Math.sqrt(5.991); // standard deviations: 95 % of a normal distribution in the plane
const PIN_WIDTH = 38;
const PIN_HEIGHT = 46;
const PIN_BELOW = 4; // room under a pin's tip
const PINS_KEPT = 1000;

/** A trail, fainter to its end. */
export function drawTrail(context, view, { person, trail }, place, strength, isMarked) {
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
export function drawUncertainty(context, view, { person, std_m: std, cov_m2: cov }, place, strength) {
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

/** Where somebody will be: a dot each half second. */
export function drawPath(context, { pixel }, person, place, strength) {
  if (Math.hypot(person.vx_mps, person.vy_mps) < MOVING_MPS) return;
  const [dx, dy] = [place[0] - person.x_m, place[1] - person.y_m]; // begins at the pin, which glides
  context.fillStyle = personColour(person.person);
  context.globalAlpha = 0.85 * strength;
  context.beginPath();
  for (const [index, [x, y]] of predictPath(person, HORIZONS_S).entries()) {
    const [left, top] = pixel([x + dx, y + dy]);
    const radius = index === HORIZONS_S.length - 1 ? 3.5 : 1.6;
    context.moveTo(left + radius, top);
    context.arc(left, top, radius, 0, 2 * Math.PI);
  }
  context.fill();
}

/** Which way somebody walks, and how fast. */
export function drawHeading(context, person, x, y) {
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

/** The pins: drawn once each and kept as pictures, since text and round edges take the most time. */
export class Pins {
  #kept = new Map();
  #style = null;

  constructor(canvas) {
    this.canvas = canvas;
  }

  /** Forget all: other colours, or another screen. */
  clear() {
    this.#kept.clear();
    this.#style = null;
  }

  draw(context, { person, cameras }, x, y, isMarked) {
    const isSeen = cameras.length > 0;
    const key = `${person} ${isSeen} ${isMarked} ${devicePixelRatio}`;
    let pin = this.#kept.get(key);
    if (!pin) {
      if (this.#kept.size >= PINS_KEPT) this.#kept.clear();
      pin = this.#make(person, isSeen, isMarked);
      this.#kept.set(key, pin);
    }
    context.drawImage(pin, x - PIN_WIDTH / 2, y - PIN_HEIGHT + PIN_BELOW, PIN_WIDTH, PIN_HEIGHT);
  }

  #make(person, isSeen, isMarked) {
    this.#style ??= styleOf(this.canvas);
    const pin = document.createElement("canvas");
    pin.width = PIN_WIDTH * devicePixelRatio;
    pin.height = PIN_HEIGHT * devicePixelRatio;
    const context = pin.getContext("2d");
    context.scale(devicePixelRatio, devicePixelRatio);
    drawPin(context, PIN_WIDTH / 2, PIN_HEIGHT - PIN_BELOW, {
      person, isSeen, size: isMarked ? 15 : 12, font: this.#style.font, rim: isMarked ? this.#style.accent : this.#style.rim,
    });
    return pin;
  }
}

function styleOf(canvas) {
  const style = getComputedStyle(canvas);
  return { accent: style.getPropertyValue("--accent"), rim: style.getPropertyValue("--pin-rim"), font: style.fontFamily };
}

function drawPin(context, x, y, { person, size, rim, font, isSeen }) {
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
