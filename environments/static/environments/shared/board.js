/**
 * A picture that one pans, zooms and puts points on, by mouse, touch and keyboard.
 *
 * Places are pixels of the picture, from its top left corner. Points are real buttons over a canvas, so that keys and
 * screen readers find them. Events: `place` (detail: point), `move` (detail: id, point, isOver), `select`, `remove`
 * (detail: id), `tap` (detail: id, point; a click on a point), `hover` (detail: point or null).
 */

import { Loupe } from "./loupe.js";
import { text } from "./words.js";

const CLICK_PX = 5; // a press that wanders farther is a drag
const ZOOM_MAX = 24; // screen pixels for one of the picture
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Board extends EventTarget {
  content = null; // what drawImage takes
  size = [1, 1];
  /** Draws over the picture, in its pixels: `(context, board) => void`; lines are `board.unit` wide. */
  painters = [];
  #scale = 1;
  #offset = [0, 0];
  #isWhole = true;
  #markers = new Map();
  #pointers = new Map();
  #press = null;
  #cursor = null; // where the keyboard points
  #requested = false;

  /**
   * @param {HTMLElement} element
   * @param {(id: string, point: number[]) => string} describe says what a point is, for screen readers
   */
  constructor(element, describe) {
    super();
    this.element = element;
    this.describe = describe;
    this.canvas = document.createElement("canvas");
    this.layer = document.createElement("div");
    this.layer.className = "board-points";
    element.append(this.canvas, this.layer);
    this.loupe = new Loupe(element);
    element.addEventListener("pointerdown", (event) => this.#down(event));
    element.addEventListener("pointermove", (event) => this.#moved(event));
    element.addEventListener("pointerup", (event) => this.#up(event));
    element.addEventListener("pointercancel", (event) => this.#cancel(event));
    element.addEventListener("pointerleave", () => this.#emit("hover", null));
    element.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    element.addEventListener("keydown", (event) => this.#key(event));
    element.addEventListener("blur", () => this.#setCursor(null));
    new ResizeObserver(() => this.#resized()).observe(element);
  }

  /** Show a picture; the view stays where the size does. */
  setContent(content, width, height) {
    const isNew = this.size[0] !== width || this.size[1] !== height;
    this.content = content;
    this.size = [width, height];
    if (isNew) this.fit();
    this.request();
  }

  /** One screen pixel in pixels of the picture. */
  get unit() {
    return 1 / this.#scale;
  }

  /** Show all of the picture. */
  fit() {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (!width || !height) return;
    this.#scale = Math.min(width / this.size[0], height / this.size[1]);
    this.#offset = [(width - this.size[0] * this.#scale) / 2, (height - this.size[1] * this.#scale) / 2];
    this.#isWhole = true;
    this.request();
  }

  /** Zoom around the middle. */
  zoom(factor) {
    this.#zoomAt([this.element.clientWidth / 2, this.element.clientHeight / 2], factor);
  }

  /**
   * Show points, keeping the buttons of those that stay.
   * @param {{id: string, point: number[], label: string, state: string, isSelected: boolean}[]} points
   */
  setPoints(points) {
    const gone = new Set(this.#markers.keys());
    for (const point of points) {
      gone.delete(point.id);
      const marker = this.#markers.get(point.id) ?? this.#addMarker(point.id);
      marker.point = point.point;
      marker.button.firstChild.textContent = point.label;
      marker.button.dataset.state = point.state;
      marker.button.classList.toggle("is-selected", point.isSelected);
      marker.button.setAttribute("aria-label", this.describe(point.id, point.point));
    }
    for (const id of gone) {
      this.#markers.get(id).button.remove();
      this.#markers.delete(id);
    }
    this.request();
  }

  /** Let the keyboard go on at a point. */
  focusPoint(id) {
    this.#markers.get(id)?.button.focus({ preventScroll: true });
  }

  /** Bring a place into view. */
  reveal([u, v]) {
    const [x, y] = this.toScreen([u, v]);
    const { clientWidth: width, clientHeight: height } = this.element;
    if (x >= 0 && y >= 0 && x <= width && y <= height) return;
    this.#offset = [width / 2 - u * this.#scale, height / 2 - v * this.#scale];
    this.request();
  }

  toScreen([u, v]) {
    return [u * this.#scale + this.#offset[0], v * this.#scale + this.#offset[1]];
  }

  request() {
    if (this.#requested) return;
    this.#requested = true;
    requestAnimationFrame(() => {
      this.#requested = false;
      this.#draw();
    });
  }

  #draw() {
    const ratio = devicePixelRatio;
    const { clientWidth: width, clientHeight: height } = this.element;
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
    }
    const context = this.canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.setTransform(ratio * this.#scale, 0, 0, ratio * this.#scale, ratio * this.#offset[0], ratio * this.#offset[1]);
    context.imageSmoothingEnabled = this.#scale < 3;
    if (this.content) context.drawImage(this.content, 0, 0, ...this.size);
    for (const paint of this.painters) {
      context.save();
      paint(context, this);
      context.restore();
    }
    if (this.#cursor) this.#drawCursor(context);
    for (const { button, point } of this.#markers.values()) {
      const [x, y] = this.toScreen(point);
      button.style.transform = `translate(${x}px, ${y}px)`;
    }
  }

  #drawCursor(context) {
    const [u, v] = this.#cursor;
    context.strokeStyle = getComputedStyle(this.element).getPropertyValue("--accent");
    context.lineWidth = 2 * this.unit;
    context.beginPath();
    context.moveTo(u - 14 * this.unit, v);
    context.lineTo(u + 14 * this.unit, v);
    context.moveTo(u, v - 14 * this.unit);
    context.lineTo(u, v + 14 * this.unit);
    context.stroke();
  }

  #addMarker(id) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "board-point";
    button.dataset.point = id;
    button.append(document.createElement("span"));
    button.addEventListener("focus", () => this.#emit("select", id));
    this.layer.append(button);
    const marker = { button, point: [0, 0] };
    this.#markers.set(id, marker);
    return marker;
  }

  #emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  #local(event) {
    const box = this.element.getBoundingClientRect();
    return [event.clientX - box.left - this.element.clientLeft, event.clientY - box.top - this.element.clientTop];
  }

  #toPicture([x, y]) {
    return [(x - this.#offset[0]) / this.#scale, (y - this.#offset[1]) / this.#scale];
  }

  #within([u, v]) {
    return [Math.min(Math.max(u, 0), this.size[0]), Math.min(Math.max(v, 0), this.size[1])];
  }

  #isInside([u, v]) {
    return u >= 0 && v >= 0 && u <= this.size[0] && v <= this.size[1];
  }

  #down(event) {
    if (event.button !== 0 || event.target.closest(".board-tools")) return;
    const at = this.#local(event);
    this.#pointers.set(event.pointerId, at);
    this.element.setPointerCapture(event.pointerId);
    const button = event.target.closest(".board-point");
    const id = button?.dataset.point ?? null;
    // a point is dragged by where it was taken hold of: it does not jump under the finger
    const [x, y] = id === null ? at : this.toScreen(this.#markers.get(id).point);
    this.#press = { at, id, grip: [x - at[0], y - at[1]], isDrag: false };
    if (button) button.focus({ preventScroll: true });
    else this.element.focus({ preventScroll: true });
    event.preventDefault();
  }

  #moved(event) {
    const at = this.#local(event);
    const before = this.#pointers.get(event.pointerId);
    if (!before) {
      const point = this.#toPicture(at);
      if (event.pointerType === "mouse") this.#emit("hover", this.#isInside(point) ? point : null);
      return;
    }
    this.#pointers.set(event.pointerId, at);
    if (this.#pointers.size === 2) {
      this.#pinch(event.pointerId, before, at);
      return;
    }
    const press = this.#press;
    if (!press) return;
    press.isDrag ||= Math.hypot(at[0] - press.at[0], at[1] - press.at[1]) > CLICK_PX;
    if (!press.isDrag) return;
    if (press.id === null) {
      this.#pan(at[0] - before[0], at[1] - before[1]);
      return;
    }
    this.#drag(press, at, false);
  }

  #drag(press, at, isOver) {
    const point = this.#within(this.#toPicture([at[0] + press.grip[0], at[1] + press.grip[1]]));
    this.#emit("move", { id: press.id, point, isOver });
    if (isOver) this.loupe.hide();
    else this.loupe.show(this, point);
  }

  #up(event) {
    const at = this.#local(event);
    const press = this.#pointers.size === 1 ? this.#press : null;
    this.#release(event);
    if (!press) return;
    if (press.isDrag && press.id !== null) {
      this.#drag(press, at, true);
    } else if (!press.isDrag) {
      const point = this.#toPicture(at);
      if (press.id !== null) this.#emit("tap", { id: press.id, point: this.#markers.get(press.id).point });
      else if (this.#isInside(point)) this.#emit("place", point);
    }
  }

  #cancel(event) {
    this.#release(event);
    this.loupe.hide();
  }

  #release(event) {
    this.#pointers.delete(event.pointerId);
    this.#press = null;
  }

  #pan(dx, dy) {
    this.#offset = [this.#offset[0] + dx, this.#offset[1] + dy];
    this.#isWhole = false;
    this.request();
  }

  #pinch(id, before, at) {
    const other = [...this.#pointers].find(([key]) => key !== id)[1];
    const spread = (p) => Math.max(Math.hypot(p[0] - other[0], p[1] - other[1]), 1);
    this.#press = null;
    this.loupe.hide();
    this.#pan((at[0] - before[0]) / 2, (at[1] - before[1]) / 2);
    this.#zoomAt([(at[0] + other[0]) / 2, (at[1] + other[1]) / 2], spread(at) / spread(before));
  }

  #wheel(event) {
    event.preventDefault();
    this.#zoomAt(this.#local(event), Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)));
  }

  #zoomAt([x, y], factor) {
    const { clientWidth: width, clientHeight: height } = this.element;
    const whole = Math.min(width / this.size[0], height / this.size[1]);
    const scale = Math.min(Math.max(this.#scale * factor, whole * 0.5), ZOOM_MAX);
    const share = scale / this.#scale;
    this.#offset = [x - (x - this.#offset[0]) * share, y - (y - this.#offset[1]) * share];
    this.#scale = scale;
    this.#isWhole = false;
    this.request();
  }

  #resized() {
    if (this.#isWhole) this.fit();
    this.request();
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const id = document.activeElement?.dataset?.point;
    const step = ARROWS[event.key];
    if (step) {
      const far = event.shiftKey ? 10 : 1;
      if (id) this.#nudge(id, step.map((s) => s * far));
      else this.#moveCursor(step, event.shiftKey);
    } else if (id && (event.key === "Delete" || event.key === "Backspace")) {
      this.#emit("remove", id);
    } else if (!id && event.key === "Enter") {
      this.#emit("place", this.#cursor ?? this.#middle());
    } else if (event.key === "+" || event.key === "=") {
      this.zoom(1.4);
    } else if (event.key === "-") {
      this.zoom(1 / 1.4);
    } else if (event.key === "0") {
      this.fit();
    } else {
      return;
    }
    event.preventDefault();
  }

  #nudge(id, [du, dv]) {
    const [u, v] = this.#markers.get(id).point;
    const point = this.#within([u + du, v + dv]);
    this.#emit("move", { id, point, isOver: true });
    this.reveal(point);
    this.loupe.show(this, point, { passes: true });
  }

  #middle() {
    return this.#within(this.#toPicture([this.element.clientWidth / 2, this.element.clientHeight / 2]));
  }

  #moveCursor([dx, dy], isFar) {
    const [u, v] = this.#cursor ?? this.#middle();
    const step = (isFar ? 10 : 1) * Math.max(1, this.unit);
    this.#setCursor(this.#within([u + dx * step, v + dy * step]));
    this.reveal(this.#cursor);
    this.loupe.show(this, this.#cursor, { passes: true });
    this.element.setAttribute("aria-description", text("cursorAt", { u: Math.round(this.#cursor[0]), v: Math.round(this.#cursor[1]) }));
  }

  #setCursor(point) {
    this.#cursor = point;
    this.#emit("hover", point);
    this.request();
  }
}
