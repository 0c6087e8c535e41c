/** The colour of a person: a pure function of the number, the same in every picture, map and list. */

const GOLDEN_ANGLE = 137.50776; // neighbours in number land far apart on the wheel of hues
const ACCENT_HUE = 45; // kept for what is selected and urgent
const ACCENT_WIDTH = 24;
// numbers whose hues nearly meet lie 13, 21, 34, 55 ... apart; none of these is a multiple of four
const LIGHTNESS = [0.87, 0.78, 0.7, 0.62];
const KEPT = 1000;
const known = new Map();

/**
 * Give the CSS colour of a person; dark text is readable on it.
 * @param {number} person
 */
export function personColour(person) {
  let colour = known.get(person);
  if (colour === undefined) {
    if (known.size >= KEPT) known.clear();
    colour = `oklch(${LIGHTNESS[person % LIGHTNESS.length]} 0.15 ${hue(person).toFixed(1)})`;
    known.set(person, colour);
  }
  return colour;
}

/** @param {number} person */
function hue(person) {
  const wheel = 360 - ACCENT_WIDTH;
  const turned = (person * GOLDEN_ANGLE * (wheel / 360)) % wheel;
  return (ACCENT_HUE + ACCENT_WIDTH / 2 + turned) % 360;
}

/** The colour of text on a person's colour. */
export const ON_PERSON = "#17171a";

/** The colour of a box that belongs to nobody. */
export const NOBODY = "rgb(235 235 240 / 0.7)";
