/** The corners of a shape as numbers: to be exact, and for those who do not use a mouse. */

import { text } from "../shared/words.js";

export class Corners {
  #points = [];

  /** @param {HTMLElement} body @param {(points: number[][]) => void} change */
  constructor(body, change) {
    this.body = body;
    this.change = change;
  }

  /** @param {number[][]} points metres @param {boolean} isLine which has two, no more and no less */
  show(points, isLine) {
    if (this.body.contains(document.activeElement) && JSON.stringify(points) === JSON.stringify(this.#points)) return;
    const focused = document.activeElement?.dataset?.corner;
    this.#points = structuredClone(points);
    this.body.replaceChildren(...points.map((point, index) => this.#row(point, index, isLine, points.length)));
    if (focused) this.body.querySelector(`[data-corner="${focused}"]`)?.focus();
  }

  #row(point, index, isLine, count) {
    const row = document.createElement("tr");
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = String(index + 1);
    row.append(head);
    for (const axis of [0, 1]) {
      const cell = document.createElement("td");
      const input = document.createElement("input");
      input.type = "number";
      input.step = "0.1";
      input.value = String(point[axis]);
      input.dataset.corner = `${index}-${axis}`;
      input.setAttribute("aria-label", text(axis ? "cornerY" : "cornerX", { number: index + 1 }));
      input.addEventListener("change", () => this.#typed(index, axis, input.value));
      cell.append(input);
      row.append(cell);
    }
    const tools = document.createElement("td");
    tools.className = "pair-tools";
    if (!isLine) {
      tools.append(this.#button("+", "addCorner", index, false, () => this.#add(index)));
      tools.append(this.#button("×", "removeCorner", index, count <= 3, () => this.#take(index)));
    }
    row.append(tools);
    return row;
  }

  #button(sign, key, index, isDisabled, act) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = sign;
    button.disabled = isDisabled;
    button.setAttribute("aria-label", text(key, { number: index + 1 }));
    button.addEventListener("click", act);
    return button;
  }

  #typed(index, axis, value) {
    const number = Number(value);
    if (value.trim() === "" || !Number.isFinite(number)) return;
    const points = structuredClone(this.#points);
    points[index][axis] = number;
    this.change(points);
  }

  #add(index) {
    const next = this.#points[(index + 1) % this.#points.length];
    const middle = [0, 1].map((axis) => Number(((this.#points[index][axis] + next[axis]) / 2).toFixed(3)));
    this.change([...this.#points.slice(0, index + 1), middle, ...this.#points.slice(index + 1)]);
  }

  #take(index) {
    this.change(this.#points.filter((_, number) => number !== index));
  }
}
