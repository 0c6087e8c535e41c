/** The list of everybody who is here: sorted, filtered, with how they look. */

import { chip, make, order, set } from "./elements.js";
import { text } from "./strings.js";
import { duration } from "./times.js";

export const MOVING_MPS = 0.25;

/** Give somebody's speed; who hardly moves stands. */
export function speedOf({ vx_mps: vx, vy_mps: vy }) {
  const speed = Math.hypot(vx, vy);
  return speed < MOVING_MPS ? 0 : speed;
}

const ORDERS = {
  number: (a, b) => a.number - b.number,
  longest: (a, b) => a.since - b.since || a.number - b.number,
  newest: (a, b) => b.since - a.since || b.number - a.number,
  fastest: (a, b) => b.speed - a.speed || a.number - b.number,
  zone: (a, b) => (a.where || "\uffff").localeCompare(b.where || "\uffff") || a.number - b.number,
};

export class PeopleList {
  #rows = new Map(); // person -> { item, button, ... }
  #atMs = 0;

  constructor({ list, empty, sort, filter, selection, presence, zones, crops }) {
    Object.assign(this, { list, empty, sort, filter, selection, presence, zones, crops });
    selection.addEventListener("change", () => this.#markAll());
    for (const input of [sort, filter]) input.addEventListener("input", () => this.render());
    crops.addEventListener("change", ({ detail }) => this.#showCrop(detail));
  }

  /** Bring the list up to date. @param {number} [atMs] of the positions that are shown */
  render(atMs = this.#atMs) {
    this.#atMs = atMs;
    const shown = this.#shown();
    for (const about of shown) this.#update(about);
    const numbers = new Set(shown.map(({ number }) => number));
    for (const [number, row] of this.#rows) {
      if (numbers.has(number)) continue;
      row.item.remove();
      this.#rows.delete(number);
    }
    order(this.list, shown.map(({ number }) => this.#rows.get(number).item));
    this.empty.hidden = shown.length > 0;
    set(this.empty, text(this.presence.people.size ? "nobodyFits" : "nobodyHere"));
  }

  #shown() {
    const words = this.filter.value.trim().toLocaleLowerCase();
    const all = [...this.presence.people.values()].map((person) => ({
      number: person.person,
      cameras: person.cameras,
      speed: speedOf(person),
      since: this.presence.since(person.person),
      where: this.zones.where(person.person),
    }));
    return all.filter((about) => fits(about, words)).sort(ORDERS[this.sort.value] ?? ORDERS.number);
  }

  #update({ number, cameras, speed, since, where }) {
    const row = this.#rows.get(number) ?? this.#add(number);
    set(row.where, where || text("noZone"));
    row.where.classList.toggle("is-faint", !where);
    set(row.cameras, cameras.join(" · ") || text("unseen"));
    row.cameras.classList.toggle("is-faint", cameras.length === 0);
    set(row.since, duration(this.#atMs - since));
    set(row.speed, text("speed", { speed: speed.toFixed(1) }));
  }

  #add(number) {
    const cell = (name) => make("span", { className: `cell-${name}` });
    const cells = { where: cell("where"), cameras: cell("cameras"), since: cell("since"), speed: cell("speed") };
    const crop = make("canvas", { className: "crop is-blank", "aria-hidden": "true" });
    const follow = make("span", { className: "visually-hidden", text: text("followPerson", { number }) });
    const place = make("span", { className: "cell-place" }, cells.where, cells.cameras);
    const button = make("button", { type: "button", className: "person-row" }, follow, crop, chip(number), place, cells.since, cells.speed);
    button.addEventListener("click", () => this.selection.toggle(number));
    for (const event of ["pointerenter", "focus"]) button.addEventListener(event, () => this.selection.hover(number));
    for (const event of ["pointerleave", "blur"]) button.addEventListener(event, () => this.selection.hover(null));
    const item = make("li", {}, button);
    const row = { item, button, crop, ...cells };
    this.#rows.set(number, row);
    this.list.append(item);
    this.#showCrop(number);
    this.#mark(number, row);
    return row;
  }

  #showCrop(number) {
    const row = this.#rows.get(number);
    if (row) row.crop.classList.toggle("is-blank", !this.crops.show(number, row.crop));
  }

  #markAll() {
    for (const [number, row] of this.#rows) this.#mark(number, row);
  }

  #mark(number, { button }) {
    button.classList.toggle("is-marked", this.selection.marks(number));
    button.setAttribute("aria-pressed", String(this.selection.followed === number));
  }
}

function fits({ number, where, cameras }, words) {
  if (!words) return true;
  return String(number).startsWith(words) || [where, ...cameras].some((word) => word.toLocaleLowerCase().includes(words));
}
