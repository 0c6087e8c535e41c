/** What is known of the person who is followed. */

import { personColour } from "./colours.js";
import { make, set } from "./elements.js";
import { speedOf } from "./people.js";
import { text } from "./strings.js";
import { clockTime, dateTime, duration } from "./times.js";

const SAMPLE_MS = 1000;
const SAMPLES = 12;

export class PersonCard {
  #card = null;
  #samples = []; // rows of the table, newest first
  #atMs = 0;

  constructor({ box, selection, presence, zones, crops, cameraName }) {
    Object.assign(this, { box, selection, presence, zones, crops, cameraName });
    const part = (name) => box.querySelector(`[data-part="${name}"]`);
    this.parts = Object.fromEntries(["chip", "stop", "crop", "facts", "empty", "body", "rows", "journey"].map((name) => [name, part(name)]));
    this.parts.stop.addEventListener("click", () => selection.follow(null));
    selection.addEventListener("follow", () => this.#begin());
    crops.addEventListener("change", ({ detail }) => {
      if (detail === selection.followed) this.#showCrop();
    });
  }

  #begin() {
    this.#card = null;
    this.#samples = [];
    this.parts.rows.replaceChildren();
    this.#showCrop();
    this.refresh();
  }

  #showCrop() {
    const { followed } = this.selection;
    this.parts.crop.classList.toggle("is-blank", followed === null || !this.crops.show(followed, this.parts.crop));
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

  /** Note where the followed person is; a row of the table once a second. */
  setPositions(atMs) {
    this.#atMs = atMs;
    const person = this.presence.people.get(this.selection.followed);
    if (!person || atMs - (this.#samples[0] ?? -Infinity) < SAMPLE_MS) return;
    this.#samples.unshift(atMs);
    this.#samples.length = Math.min(this.#samples.length, SAMPLES);
    const { x_m: x, y_m: y, std_m: std, cameras } = person;
    const cells = [
      clockTime(atMs),
      text(cameras.length ? "seen" : "guessed"),
      `${x.toFixed(1)}, ${y.toFixed(1)}`,
      `± ${std.toFixed(2)}`,
      cameras.join(" · ") || "–",
    ];
    this.parts.rows.prepend(make("tr", {}, ...cells.map((cell) => make("td", { text: cell }))));
    while (this.parts.rows.children.length > SAMPLES) this.parts.rows.lastElementChild.remove();
  }

  refresh() {
    const { followed } = this.selection;
    const { chip, stop, body, empty } = this.parts;
    body.hidden = chip.hidden = stop.hidden = followed === null;
    empty.hidden = followed !== null;
    if (followed === null) return;
    set(chip, String(followed));
    chip.style.setProperty("--person", personColour(followed));
    this.#write(this.#facts(followed));
    const from = this.presence.since(followed) ?? (this.#card?.since ? Date.parse(this.#card.since) : null);
    const journey = new URL(this.parts.journey.dataset.href, location.href);
    journey.searchParams.set("person", followed);
    if (from !== null) journey.searchParams.set("at", new Date(from).toISOString());
    this.parts.journey.href = journey.href;
  }

  #facts(followed) {
    const { presence } = this;
    const person = presence.people.get(followed);
    const since = presence.since(followed);
    const average = presence.averageMps(followed);
    return {
      "fact.since": person ? clockTime(since) : text("notHere"),
      "fact.tracked": person ? duration(this.#atMs - since) : "–",
      "fact.zone": (person && this.zones.where(followed)) || (this.#card?.zone ? text("lastZone", { zone: this.#card.zone }) : text("none")),
      "fact.camera": this.#cameras(person, followed),
      "fact.speed": person ? text("speed", { speed: speedOf(person).toFixed(1) }) : "–",
      "fact.average": average === null ? "–" : text("speed", { speed: average.toFixed(1) }),
      "fact.position": person
        ? text("position", { x: person.x_m.toFixed(1), y: person.y_m.toFixed(1), std: person.std_m.toFixed(1) })
        : "–",
      "fact.sightings": person ? String(presence.sightings(followed)) : "–",
      "fact.firstSeen": this.#card ? dateTime(Date.parse(this.#card.first_seen_at)) : "–",
      "fact.visits": this.#card ? String(this.#card.visits) : "–",
    };
  }

  /** The cameras that see the followed person now, or the one that did last. */
  #cameras(person, followed) {
    if (person?.cameras.length) return person.cameras.join(" · ");
    const last = this.presence.lastCamera(followed);
    return last ? text("lastSeenBy", { camera: this.cameraName(last) }) : text("none");
  }

  #write(facts) {
    for (const [key, value] of Object.entries(facts)) {
      let cell = this.parts.facts.querySelector(`[data-fact="${key}"]`);
      if (!cell) {
        cell = make("dd", { "data-fact": key });
        this.parts.facts.append(make("div", {}, make("dt", { text: text(key) }), cell));
      }
      set(cell, value);
    }
  }
}
