/**
 * The point pairs being worked on, with undo and redo.
 *
 * A pair is a place in the picture (px, or null while it is missing) and the same place on the floor (m, or null).
 * Places on the floor are metres, so that they outlive the picture of the plan. Event: `change`.
 */
export class Pairs extends EventTarget {
  selected = null;
  #list = [];
  #past = [];
  #future = [];
  #kept; // as it was when it was saved or loaded last
  #count = 0;

  constructor() {
    super();
    this.#kept = this.#text();
  }

  get list() {
    return this.#list;
  }

  /** Those that have both places. */
  get whole() {
    return this.#list.filter((pair) => pair.px && pair.m);
  }

  /** The one that lacks a place, if any. */
  get half() {
    return this.#list.find((pair) => !pair.px || !pair.m) ?? null;
  }

  get isChanged() {
    return this.#text() !== this.#kept;
  }

  get canUndo() {
    return this.#past.length > 0;
  }

  get canRedo() {
    return this.#future.length > 0;
  }

  /** Begin anew with pairs that are stored; what was there can be had back by undo. */
  load(pairs) {
    this.#remember();
    this.#list = pairs.map(({ u, v, x, y }) => ({ id: this.#id(), px: [u, v], m: [x, y] }));
    this.selected = null;
    this.keep();
  }

  /** Take what is there as saved. */
  keep() {
    this.#kept = this.#text();
    this.#changed();
  }

  /** Begin without history: the first thing on the page. */
  forgetHistory() {
    this.#past = [];
    this.#future = [];
    this.#changed();
  }

  /** Put a place to the pair that lacks it, or begin a new pair. @param {"px" | "m"} side */
  place(side, point) {
    this.#remember();
    const half = this.half;
    if (half) {
      half[side] = point; // clicked twice on one side: the place is corrected
      this.selected = half.id;
    } else {
      const pair = { id: this.#id(), px: null, m: null, [side]: point };
      this.#list.push(pair);
      this.selected = pair.id;
    }
    this.#changed();
    return this.selected;
  }

  /** Move a place; a drag is one step to undo, however many moves it takes. */
  move(id, side, point, isOver) {
    const pair = this.#find(id);
    if (!pair) return;
    if (!this.moving) {
      this.#remember();
      this.moving = true;
    }
    pair[side] = point;
    if (isOver) this.moving = false;
    this.#changed();
  }

  remove(id) {
    if (!this.#find(id)) return;
    this.#remember();
    const index = this.#list.findIndex((pair) => pair.id === id);
    this.#list.splice(index, 1);
    this.selected = (this.#list[index] ?? this.#list[index - 1])?.id ?? null;
    this.#changed();
  }

  /** Move a pair up (-1) or down (1) in the list. */
  shift(id, by) {
    const from = this.#list.findIndex((pair) => pair.id === id);
    const to = from + by;
    if (from < 0 || to < 0 || to >= this.#list.length) return;
    this.#remember();
    this.#list.splice(to, 0, ...this.#list.splice(from, 1));
    this.#changed();
  }

  select(id) {
    if (this.selected === id) return;
    this.selected = id;
    this.#changed();
  }

  undo() {
    this.#swap(this.#past, this.#future);
  }

  redo() {
    this.#swap(this.#future, this.#past);
  }

  /** What is sent to the server. */
  asRows() {
    return this.whole.map(({ px, m }) => ({ u: px[0], v: px[1], x: m[0], y: m[1] }));
  }

  #swap(from, to) {
    if (!from.length) return;
    to.push(structuredClone(this.#list));
    this.#list = from.pop();
    if (!this.#find(this.selected)) this.selected = null;
    this.#changed();
  }

  #remember() {
    this.moving = false;
    this.#past.push(structuredClone(this.#list));
    this.#future = [];
  }

  #find(id) {
    return this.#list.find((pair) => pair.id === id);
  }

  #id() {
    this.#count += 1;
    return `p${this.#count}`;
  }

  #text() {
    return JSON.stringify(this.#list.map(({ px, m }) => [px, m]));
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
