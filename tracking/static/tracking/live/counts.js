/** How many people each camera sees, how many are in each area, and how many crossed each line. */

import { make, order, set } from "./elements.js";
import { text } from "./strings.js";

const FULL_BAR = 4; // people, at least

export class Counts {
  #rows = new Map(); // "camera c1" -> its row

  /** `point` is told of the camera or zone that somebody points at. */
  constructor({ box, point }) {
    Object.assign(this, { box, point });
  }

  /** Forget the rows: another place has others. */
  clear() {
    this.#rows.clear();
    this.box.replaceChildren();
  }

  /**
   * @param {{id: string, name: string}[]} cameras
   * @param {import("./zones.js").Zones} zones
   * @param {{cameras: string[]}[]} people
   */
  show(cameras, zones, people) {
    const seen = new Map(cameras.map(({ id }) => [id, 0]));
    for (const { cameras: by } of people) for (const id of by) seen.set(id, (seen.get(id) ?? 0) + 1);
    const most = Math.max(FULL_BAR, ...seen.values(), ...zones.counts.values());
    const rows = cameras.map(({ id, name }) => this.#bar("camera", id, id, name, seen.get(id), most));
    for (const { id, name, capacity } of zones.areas) {
      rows.push(this.#bar("zone", id, name, name, zones.counts.get(id), capacity || most, capacity));
    }
    for (const { id, name } of zones.lines) rows.push(this.#crossings(id, name, zones.crossings.get(id)));
    order(this.box, rows);
  }

  #row(kind, id, label, title) {
    const key = `${kind} ${id}`;
    let row = this.#rows.get(key);
    if (!row) {
      const part = (className) => make("span", { className });
      row = make("div", { className: "bar", [`data-${kind}`]: id }, part("bar-name"), part("bar-fill"), part("bar-count"));
      for (const [event, isPointed] of [["pointerenter", true], ["pointerleave", false]]) {
        row.addEventListener(event, () => this.point(kind === "camera" ? "camera" : "zone", id, isPointed));
      }
      this.#rows.set(key, row);
    }
    set(row.children[0], label);
    row.title = title;
    return row;
  }

  #bar(kind, id, label, title, count, full, capacity) {
    const row = this.#row(kind, id, label, title);
    row.children[1].style.setProperty("--share", String(Math.min(1, count / full)));
    row.classList.toggle("is-full", Boolean(capacity) && count > capacity);
    set(row.children[2], capacity ? `${count}/${capacity}` : String(count));
    return row;
  }

  #crossings(id, name, { left_to_right: forwards, right_to_left: backwards }) {
    const row = this.#row("line", id, name, text("crossedToday", { forwards, backwards }));
    row.classList.add("bar-line");
    set(row.children[2], text("ways", { forwards, backwards }));
    return row;
  }
}
