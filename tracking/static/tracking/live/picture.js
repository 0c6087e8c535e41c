/** A camera's picture: a frame, the boxes of that very frame over it, and where their people came from. */

import { NOBODY, ON_PERSON, personColour } from "./colours.js";

const TRAIL_MS = 4000;
const TRAIL_STEP_PX = 3;

export class Picture {
  header = null;
  #bitmap = null;
  #trails = new Map(); // person -> [[ms, u, v], ...]: where the feet were in earlier frames
  #font = "sans-serif";

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {import("./selection.js").Selection} selection
   */
  constructor(canvas, selection) {
    this.canvas = canvas;
    this.selection = selection;
  }

  /** Show a frame instead of the one before. */
  take(bitmap, header) {
    this.#bitmap?.close();
    this.#bitmap = bitmap;
    this.#remember(header, this.header);
    this.header = header;
    this.draw();
  }

  /** Let go of what the browser does not free by itself. */
  dispose() {
    this.#bitmap?.close();
    this.#bitmap = null;
  }

  #remember(header, before) {
    const ms = Date.parse(header.captured_at);
    if (before && ms < Date.parse(before.captured_at)) this.#trails.clear(); // somebody sought in a recording
    for (const { person, xyxy: [x1, , x2, y2] } of header.boxes) {
      if (person === null) continue;
      const trail = this.#trails.get(person) ?? [];
      const [, u, v] = trail.at(-1) ?? [0, Infinity, Infinity];
      const foot = [(x1 + x2) / 2, y2];
      if (Math.hypot(foot[0] - u, foot[1] - v) >= TRAIL_STEP_PX) trail.push([ms, ...foot]);
      this.#trails.set(person, trail);
    }
    for (const [person, trail] of this.#trails) {
      while (trail.length && trail[0][0] < ms - TRAIL_MS) trail.shift();
      if (!trail.length) this.#trails.delete(person);
    }
  }

  /** Give how wide the picture is on the screen, in device pixels. */
  get widthPx() {
    return Math.round(this.canvas.clientWidth * devicePixelRatio);
  }

  draw() {
    const width = this.widthPx;
    const height = Math.round(this.canvas.clientHeight * devicePixelRatio);
    if (!this.#bitmap || !width || !height) return;
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
      this.#font = getComputedStyle(this.canvas).fontFamily;
    }
    const context = this.canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(this.#bitmap, 0, 0, width, height);
    const scale = { x: width / this.header.width, y: height / this.header.height };
    const boxes = [...this.header.boxes].sort((a, b) => this.#rank(a) - this.#rank(b));
    for (const box of boxes) this.#drawTrail(context, box, scale);
    for (const box of boxes) this.#drawBox(context, box, scale);
    context.globalAlpha = 1;
  }

  #rank(box) {
    return this.selection.marks(box.person) ? 1 : 0;
  }

  #strength(person) {
    return this.selection.isActive && !this.selection.marks(person) ? 0.5 : 1;
  }

  #drawTrail(context, { person, xyxy: [x1, , x2, y2] }, scale) {
    const trail = this.#trails.get(person);
    if (!trail || trail.length < 2) return;
    const points = [...trail.map(([, u, v]) => [u, v]), [(x1 + x2) / 2, y2]];
    context.strokeStyle = personColour(person);
    context.lineWidth = (this.selection.marks(person) ? 4 : 2.5) * devicePixelRatio;
    context.lineCap = context.lineJoin = "round";
    const half = Math.floor(points.length / 2);
    for (const [part, alpha] of [[points.slice(0, half + 1), 0.35], [points.slice(half), 0.8]]) {
      context.globalAlpha = alpha * this.#strength(person);
      context.beginPath();
      for (const [u, v] of part) context.lineTo(u * scale.x, v * scale.y);
      context.stroke();
    }
  }

  #drawBox(context, { xyxy: [x1, y1, x2, y2], person }, scale) {
    const pixel = devicePixelRatio;
    const [left, top, width, height] = [x1 * scale.x, y1 * scale.y, (x2 - x1) * scale.x, (y2 - y1) * scale.y];
    const isMarked = this.selection.marks(person);
    const colour = person === null ? NOBODY : personColour(person);
    context.globalAlpha = this.#strength(person);
    context.lineWidth = (isMarked ? 3.5 : 2) * pixel;
    context.strokeStyle = colour;
    context.setLineDash(person === null ? [4 * pixel, 4 * pixel] : []);
    context.beginPath();
    context.roundRect(left, top, width, height, 4 * pixel);
    context.stroke();
    context.setLineDash([]);
    if (isMarked) {
      context.globalAlpha = 0.22;
      context.fillStyle = colour;
      context.fill();
      context.globalAlpha = 1;
    }
    if (person !== null) this.#drawLabel(context, String(person), left, top, colour);
  }

  #drawLabel(context, label, left, top, colour) {
    // numbers shrink with small pictures, so that they do not cover the people
    const pixel = devicePixelRatio * Math.min(1, Math.max(0.7, this.canvas.clientWidth / 300));
    const height = 18 * pixel;
    context.font = `700 ${12 * pixel}px ${this.#font}`;
    const width = context.measureText(label).width + 12 * pixel;
    const x = Math.max(0, left - pixel);
    const y = Math.max(0, top - height - 2 * pixel);
    context.fillStyle = colour;
    context.beginPath();
    context.roundRect(x, y, width, height, 6 * pixel);
    context.fill();
    context.fillStyle = ON_PERSON;
    context.textBaseline = "middle";
    context.fillText(label, x + 6 * pixel, y + height / 2 + 0.5 * pixel);
  }

  /** Give who is where somebody points at; of several the smallest box. */
  personAt(event) {
    if (!this.header) return null;
    const { boxes, width, height } = this.header;
    const x = (event.offsetX / this.canvas.clientWidth) * width;
    const y = (event.offsetY / this.canvas.clientHeight) * height;
    const area = ([x1, y1, x2, y2]) => (x2 - x1) * (y2 - y1);
    const hits = boxes.filter(
      ({ person, xyxy: [x1, y1, x2, y2] }) => person !== null && x >= x1 && x <= x2 && y >= y1 && y <= y2,
    );
    hits.sort((a, b) => area(a.xyxy) - area(b.xyxy));
    return hits[0]?.person ?? null;
  }
}
