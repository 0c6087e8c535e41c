/** The people in one camera's picture, as crops under it while it is shown large. */

import { chip, make, order } from "./elements.js";
import { text } from "./strings.js";

export class Strip {
  #items = new Map(); // person -> { button, canvas }

  constructor({ box, selection, crops }) {
    Object.assign(this, { box, selection, crops });
    crops.addEventListener("change", ({ detail }) => this.#showCrop(detail));
    selection.addEventListener("change", () => this.#mark());
  }

  /** Show who is in a picture; null for no picture. @param {object | null} header of the frame that is shown */
  show(header) {
    const people = header === null ? [] : header.boxes.flatMap(({ person }) => (person === null ? [] : [person]));
    people.sort((a, b) => a - b);
    this.box.hidden = header === null;
    for (const [person, { button }] of this.#items) {
      if (people.includes(person)) continue;
      button.remove();
      this.#items.delete(person);
    }
    for (const person of people) if (!this.#items.has(person)) this.#add(person);
    order(this.box, people.map((person) => this.#items.get(person).button));
  }

  #add(person) {
    const canvas = make("canvas", { className: "crop is-blank", "aria-hidden": "true" });
    const button = make("button", { type: "button", className: "strip-person", "aria-label": text("followPerson", { number: person }) }, canvas, chip(person));
    button.addEventListener("click", () => this.selection.toggle(person));
    button.addEventListener("pointerenter", () => this.selection.hover(person));
    button.addEventListener("pointerleave", () => this.selection.hover(null));
    this.#items.set(person, { button, canvas });
    this.#showCrop(person);
    this.#mark();
  }

  #showCrop(person) {
    const item = this.#items.get(person);
    if (item) item.canvas.classList.toggle("is-blank", !this.crops.show(person, item.canvas));
  }

  #mark() {
    for (const [person, { button }] of this.#items) {
      button.classList.toggle("is-marked", this.selection.marks(person));
      button.setAttribute("aria-pressed", String(this.selection.followed === person));
    }
  }
}
