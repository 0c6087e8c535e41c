/** Times as the place's own clocks show them. */

const timeZone = document.getElementById("main").dataset.timeZone || "UTC";
const clock = new Intl.DateTimeFormat([], { timeZone, hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const calendar = new Intl.DateTimeFormat([], { timeZone, dateStyle: "medium", timeStyle: "short", hourCycle: "h23" });
const fields = new Intl.DateTimeFormat("en-GB", {
  timeZone, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});

/** Write a time of day. */
export function clockTime(ms) {
  return clock.format(ms);
}

/** Write a date and a time. */
export function dateTime(ms) {
  return calendar.format(ms);
}

/** Write how long something has lasted. */
export function duration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  const two = (value) => String(value).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/** Give an instant as the value of a `datetime-local` input: the place's wall clock. */
export function toInput(ms) {
  const part = Object.fromEntries(fields.formatToParts(ms).map(({ type, value }) => [type, value]));
  return `${part.year}-${part.month}-${part.day}T${part.hour}:${part.minute}:${part.second}`;
}

/** Give the instant that the value of a `datetime-local` input means at the place, NaN for none. */
export function fromInput(value) {
  const asUtc = Date.parse(value.length === 16 ? `${value}:00Z` : `${value}Z`); // seconds may be left out
  if (Number.isNaN(asUtc)) return NaN;
  const offset = (ms) => Date.parse(`${toInput(ms)}Z`) - Math.floor(ms / 1000) * 1000;
  // twice, for the offset of the instant itself: clocks may change in between
  const guess = asUtc - offset(asUtc);
  return asUtc - offset(guess);
}
