/** The list of everybody who is here, and the card of the one who is followed. */

import { personColour } from "./colours.js";
import { text } from "./strings.js";

const MOVING_MPS = 0.25;

/** Give a person's chip. */
export function chip(person) {
  const element = document.createElement("span");
  element.className = "chip";
  element.textContent = String(person);
  element.style.setProperty("--person", personColour(person));
  return element;
}

/** Write a time of day. */
export function clockTime(ms) {
  return new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
}

/** Write how long something has lasted. */
export function duration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  const two = (value) => String(value).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

export class PeopleList {
  #rows = new Map(); // person -> { item, ... }
  #since = new Map();
  people = new Map(); // person -> last position
  lastCamera = new Map();

  constructor({ list, empty, selection }) {
    Object.assign(this, { list, empty, selection });
    selection.addEventListener("change", () => this.#mark());
  }

  /** Take from `hello` since when those are here who are here. */
  setPresent(present) {
    this.#since = new Map(present.map(({ person, since }) => [person, Date.parse(since)]));
  }

  since(person) {
    return this.#since.get(person) ?? null;
  }

  setPositions(people, atMs) {
    this.people = new Map(people.map((person) => [person.person, person]));
    for (const person of people) {
      if (!this.#since.has(person.person)) this.#since.set(person.person, atMs);
      if (person.cameras.length) this.lastCamera.set(person.person, person.cameras[0]);
      this.#update(person, atMs);
    }
    for (const [number, row] of this.#rows) {
      if (this.people.has(number)) continue;
      row.item.remove();
      this.#rows.delete(number);
      this.#since.delete(number);
    }
    this.empty.hidden = people.length > 0;
    set(this.empty, text("nobodyHere"));
  }

  #update(person, atMs) {
    const row = this.#rows.get(person.person) ?? this.#add(person.person);
    const speed = Math.hypot(person.vx_mps, person.vy_mps);
    set(row.cameras, person.cameras.join(" · ") || text("unseen"));
    row.cameras.classList.toggle("is-faint", person.cameras.length === 0);
    set(row.since, duration(atMs - this.#since.get(person.person)));
    set(row.speed, text("speed", { speed: (speed < MOVING_MPS ? 0 : speed).toFixed(1) }));
  }

  #add(number) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "person-row";
    button.setAttribute("aria-label", text("followPerson", { number }));
    const cells = Object.fromEntries(
      ["cameras", "since", "speed"].map((name) => {
        const cell = document.createElement("span");
        cell.className = `cell-${name}`;
        return [name, cell];
      }),
    );
    button.append(chip(number), cells.cameras, cells.since, cells.speed);
    button.addEventListener("click", () => this.selection.toggle(number));
    button.addEventListener("pointerenter", () => this.selection.hover(number));
    button.addEventListener("pointerleave", () => this.selection.hover(null));
    button.addEventListener("focus", () => this.selection.hover(number));
    button.addEventListener("blur", () => this.selection.hover(null));
    item.append(button);
    const after = [...this.#rows.entries()].filter(([other]) => other > number).map(([, row]) => row.item);
    this.list.insertBefore(item, after.sort((a, b) => (a.compareDocumentPosition(b) & 4 ? -1 : 1))[0] ?? null);
    const row = { item, button, ...cells };
    this.#rows.set(number, row);
    this.#markRow(number, row);
    return row;
  }

  #mark() {
    for (const [number, row] of this.#rows) this.#markRow(number, row);
  }

  #markRow(number, { button }) {
    button.classList.toggle("is-marked", this.selection.marks(number));
    button.setAttribute("aria-pressed", String(this.selection.followed === number));
  }
}

export class PersonCard {
  #card = null;

  constructor({ chipElement, facts, empty, stop, selection, people, cameraName }) {
    Object.assign(this, { chipElement, facts, empty, stop, selection, people, cameraName });
    stop.addEventListener("click", () => selection.follow(null));
    selection.addEventListener("follow", () => {
      this.#card = null;
      this.refresh();
    });
  }

  /** Take what the server knows of the followed person. */
  setCard({ person, card }) {
    if (person === this.selection.followed) this.#card = card;
    this.refresh();
  }

  /** Note the last zone as it changes. */
  sawZone(person, zone) {
    if (person === this.selection.followed && this.#card) this.#card.zone = zone;
  }

  refresh() {
    const { followed } = this.selection;
    this.facts.hidden = this.chipElement.hidden = this.stop.hidden = followed === null;
    this.empty.hidden = followed !== null;
    if (followed === null) return;
    set(this.chipElement, String(followed));
    this.chipElement.style.setProperty("--person", personColour(followed));
    const person = this.people.people.get(followed);
    const since = this.people.since(followed);
    const speed = person ? Math.hypot(person.vx_mps, person.vy_mps).toFixed(1) : null;
    const facts = {
      "fact.since": since && person ? `${clockTime(since)}` : text("notHere"),
      "fact.camera": this.#cameras(person, followed),
      "fact.zone": this.#card?.zone ?? text("none"),
      "fact.speed": speed === null ? "–" : text("speed", { speed }),
      "fact.position": person
        ? text("position", { x: person.x_m.toFixed(1), y: person.y_m.toFixed(1), std: person.std_m.toFixed(1) })
        : "–",
      "fact.firstSeen": this.#card ? new Date(this.#card.first_seen_at).toLocaleString([], { dateStyle: "short", timeStyle: "short" }) : "–",
      "fact.visits": this.#card ? String(this.#card.visits) : "–",
    };
    this.#write(facts);
  }

  /** The cameras that see the followed person now, or the one that did last. */
  #cameras(person, followed) {
    if (person?.cameras.length) return person.cameras.join(" · ");
    const last = this.people.lastCamera.get(followed);
    return last ? text("lastSeenBy", { camera: this.cameraName(last) }) : text("none");
  }

  #write(facts) {
    for (const [key, value] of Object.entries(facts)) {
      let cell = this.facts.querySelector(`[data-fact="${key}"]`);
      if (!cell) {
        const pair = document.createElement("div");
        const term = document.createElement("dt");
        term.textContent = text(key);
        cell = document.createElement("dd");
        cell.dataset.fact = key;
        pair.append(term, cell);
        this.facts.append(pair);
      }
      set(cell, value);
    }
  }
}

/** Write a text where it has changed: what stays the same costs no layout. */
export function set(element, value) {
  if (element.textContent !== value) element.textContent = value;
}
