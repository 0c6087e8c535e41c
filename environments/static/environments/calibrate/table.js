/** The list of point pairs: numbers to read and to type, errors, and what is wrong with each. */

import { metres, pixels, text } from "../shared/words.js";

const COLUMNS = [
  ["px", 0, "pixelU"],
  ["px", 1, "pixelV"],
  ["m", 0, "metreX"],
  ["m", 1, "metreY"],
];

export class PairTable {
  #rows = new Map();

  /**
   * @param {HTMLTableSectionElement} body
   * @param {import("./pairs.js").Pairs} pairs
   * @param {[number, number]} size of the camera's picture
   */
  constructor(body, pairs, size) {
    this.body = body;
    this.pairs = pairs;
    this.size = size;
  }

  /** @param {Map<string, {error_m, error_px, left_out_m, is_outlier}>} errors by pair */
  show(errors) {
    const gone = new Set(this.#rows.keys());
    this.pairs.list.forEach((pair, index) => {
      gone.delete(pair.id);
      const row = this.#rows.get(pair.id) ?? this.#addRow(pair.id);
      if (this.body.children[index] !== row.element) this.body.insertBefore(row.element, this.body.children[index] ?? null);
      this.#fill(row, pair, index, errors.get(pair.id));
    });
    for (const id of gone) {
      this.#rows.get(id).element.remove();
      this.#rows.delete(id);
    }
  }

  #addRow(id) {
    const element = document.createElement("tr");
    element.dataset.pair = id;
    element.addEventListener("click", () => this.pairs.select(id));
    const head = document.createElement("th");
    head.scope = "row";
    element.append(head);
    const inputs = COLUMNS.map(([side, index]) => this.#addInput(element, id, side, index));
    const cells = ["error_m", "error_px", "left_out_m"].map((name) => {
      const cell = document.createElement("td");
      cell.className = "pair-error";
      cell.dataset.error = name;
      element.append(cell);
      return cell;
    });
    const tools = document.createElement("td");
    tools.className = "pair-tools";
    const buttons = [
      ["↑", "moveUp", () => this.pairs.shift(id, -1)],
      ["↓", "moveDown", () => this.pairs.shift(id, 1)],
      ["×", "removePair", () => this.pairs.remove(id)],
    ].map(([sign, key, act]) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = sign;
      button.dataset.label = key;
      button.addEventListener("click", (event) => {
        event.stopPropagation();
        act();
      });
      tools.append(button);
      return button;
    });
    element.append(tools);
    const row = { element, head, inputs, cells, buttons };
    this.#rows.set(id, row);
    return row;
  }

  #addInput(element, id, side, index) {
    const cell = document.createElement("td");
    const input = document.createElement("input");
    input.type = "number";
    input.step = side === "px" ? "0.1" : "0.01";
    input.addEventListener("focus", () => this.pairs.select(id));
    input.addEventListener("change", () => this.#typed(id, side));
    cell.append(input);
    element.append(cell);
    return input;
  }

  #typed(id, side) {
    const { inputs } = this.#rows.get(id);
    const values = inputs.slice(...(side === "px" ? [0, 2] : [2, 4])).map((input) => input.value.trim());
    const point = values.map(Number);
    const isWhole = values.every((value) => value !== "") && point.every(Number.isFinite);
    if (!isWhole) return;
    if (side === "px") point.forEach((value, axis) => (point[axis] = Math.min(Math.max(value, 0), this.size[axis])));
    this.pairs.move(id, side, point, true);
  }

  #fill({ element, head, inputs, cells, buttons }, pair, index, errors) {
    const number = index + 1;
    head.textContent = String(number);
    element.classList.toggle("is-selected", pair.id === this.pairs.selected);
    element.classList.toggle("is-outlier", Boolean(errors?.is_outlier));
    element.classList.toggle("is-half", !pair.px || !pair.m);
    COLUMNS.forEach(([side, axis, key], column) => {
      const input = inputs[column];
      input.setAttribute("aria-label", text(key, { number }));
      if (document.activeElement === input && input.value !== "" && pair[side] && Number(input.value) === pair[side][axis]) return;
      input.value = pair[side] ? String(Number(pair[side][axis].toFixed(side === "px" ? 1 : 3))) : "";
    });
    cells[0].textContent = metres(errors?.error_m);
    cells[1].textContent = pixels(errors?.error_px);
    cells[2].textContent = metres(errors?.left_out_m);
    element.title = errors?.is_outlier ? text("outlierHint", { number }) : "";
    for (const button of buttons) button.setAttribute("aria-label", text(button.dataset.label, { number }));
    buttons[0].disabled = index === 0;
    buttons[1].disabled = index === this.pairs.list.length - 1;
  }
}
