/** The feed of what happened, newest first. */

import { chip, clockTime } from "./people.js";
import { hasText, text } from "./strings.js";

const KEPT = 60;
const TONES = {
  camera_online: "good", camera_offline: "bad", camera_moved: "warn",
  person_appeared: "good", person_left: "", reidentified: "warn", identity_merged: "warn", identity_revised: "warn",
};

export class EventFeed {
  #known = new Set();

  constructor({ list, empty, selection, cameraName, zoneName }) {
    Object.assign(this, { list, empty, selection, cameraName, zoneName });
  }

  /** Begin with the events that `hello` tells, newest first. */
  reset(events) {
    this.list.replaceChildren();
    this.#known.clear();
    for (const event of [...events].reverse()) this.add(event, false);
    this.empty.hidden = events.length > 0;
  }

  add(event, isNew = true) {
    if (this.#known.has(event.id)) return;
    this.#known.add(event.id);
    this.empty.hidden = true;
    this.list.prepend(this.#row(event, isNew));
    while (this.list.children.length > KEPT) this.list.lastElementChild.remove();
  }

  #row(event, isNew) {
    const row = document.createElement("li");
    row.className = "event";
    row.classList.toggle("is-new", isNew);
    row.dataset.kind = event.kind;
    const time = document.createElement("time");
    time.dateTime = event.at;
    time.textContent = clockTime(Date.parse(event.at));
    const dot = document.createElement("span");
    dot.className = "dot";
    dot.dataset.tone = TONES[event.kind] ?? "warn";
    row.append(time, event.person === null ? dot : this.#person(event.person), this.#words(event));
    return row;
  }

  #person(person) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "chip-button";
    button.setAttribute("aria-label", text("followPerson", { number: person }));
    button.append(chip(person));
    button.addEventListener("click", () => this.selection.toggle(person));
    return button;
  }

  #words(event) {
    const words = document.createElement("span");
    const key = `event.${event.kind}`;
    const zone = event.zone === null ? "" : this.zoneName(event.zone);
    const camera = event.camera === null ? "" : this.cameraName(event.camera);
    words.textContent = hasText(key)
      ? text(key, { zone, camera })
      : text("event.other", { kind: event.kind.replaceAll("_", " ") });
    return words;
  }
}
