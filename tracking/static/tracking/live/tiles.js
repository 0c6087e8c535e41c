/** The camera pictures: each a canvas with the boxes of that very frame drawn over it. */

import { Recent } from "./clock.js";
import { NOBODY, ON_PERSON, personColour } from "./colours.js";
import { icon } from "./icons.js";
import { text } from "./strings.js";

const LATE_S = 4;
const TONES = { online: "good", connecting: "warn", ended: "warn", offline: "bad", failed: "bad", off: "" };

export class Tile extends EventTarget {
  fps = new Recent(3000);
  latency = new Recent(3000);
  isVisible = true;
  state = "off";
  tier = null; // the quality that the server sends
  #frame = null; // { bitmap, header }
  #pending = null;
  #isDecoding = false;
  #drawnAt = 0;

  /**
   * @param {{id: string, name: string, width: number, height: number, state: string}} camera
   * @param {import("./selection.js").Selection} selection
   * @param {import("./clock.js").Clock} clock
   */
  constructor(camera, selection, clock) {
    super();
    this.camera = camera;
    this.selection = selection;
    this.clock = clock;
    this.#build();
    this.setState(camera.state, "");
    this.redraw = () => this.#draw();
    selection.addEventListener("change", this.redraw);
    this.resizer = new ResizeObserver(this.redraw);
    this.resizer.observe(this.canvas);
  }

  #build() {
    const { camera } = this;
    this.element = document.createElement("figure");
    this.element.className = "tile";
    this.element.dataset.camera = camera.id;
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", text("cameraPicture", { camera: camera.name }));
    this.cover = document.createElement("div");
    this.cover.className = "tile-cover";
    this.coverText = document.createElement("span");
    this.cover.append(icon("camera"), this.coverText);
    this.dot = document.createElement("span");
    this.dot.className = "dot";
    const name = document.createElement("span");
    name.className = "tile-name";
    name.textContent = camera.name;
    this.facts = document.createElement("span");
    this.facts.className = "tile-facts";
    this.button = document.createElement("button");
    this.button.type = "button";
    this.button.className = "icon-button tile-expand";
    this.button.append(icon("expand"));
    this.button.setAttribute("aria-label", text("enlarge", { camera: camera.name }));
    this.button.addEventListener("click", () => this.dispatchEvent(new Event("expand")));
    const caption = document.createElement("figcaption");
    caption.append(this.dot, name, this.facts);
    this.element.append(this.canvas, this.cover, caption, this.button);
    for (const [event, isPointed] of [["pointerenter", true], ["pointerleave", false]]) {
      this.element.addEventListener(event, () => this.dispatchEvent(new CustomEvent("pointed", { detail: isPointed })));
    }
    this.canvas.addEventListener("pointermove", (event) => this.#point(event));
    this.canvas.addEventListener("pointerleave", () => this.selection.hover(null));
    this.canvas.addEventListener("click", (event) => {
      const person = this.#personAt(event);
      if (person !== null) this.selection.toggle(person);
    });
  }

  /** Let go of what outlives the element. */
  dispose() {
    this.selection.removeEventListener("change", this.redraw);
    this.resizer.disconnect();
    this.#frame?.bitmap.close();
    this.#frame = null;
  }

  /** Show this tile alone, or among the others. */
  setLarge(isLarge) {
    this.element.classList.toggle("is-large", isLarge);
    const label = isLarge ? text("shrink") : text("enlarge", { camera: this.camera.name });
    this.button.setAttribute("aria-label", label);
    this.button.title = label;
    this.button.replaceChildren(icon(isLarge ? "shrink" : "expand"));
  }

  /** @param {string} state @param {string} message */
  setState(state, message) {
    this.state = state;
    this.message = message ?? "";
    this.dot.dataset.tone = TONES[state] ?? "";
    this.dot.title = text(`state.${state}`);
    this.refresh();
  }

  /** Give how wide the picture is on the screen, in device pixels. */
  get widthPx() {
    return Math.round(this.canvas.clientWidth * devicePixelRatio);
  }

  /**
   * Take a frame. While one is being decoded only the newest of those that follow is kept.
   * @param {{header: object, picture: Blob}} frame
   */
  async take(frame) {
    this.#pending = frame;
    if (this.#isDecoding) return;
    this.#isDecoding = true;
    while (this.#pending) {
      const { header, picture } = this.#pending;
      this.#pending = null;
      try {
        this.#show(await createImageBitmap(picture), header);
      } catch (error) {
        console.warn(`camera ${header.camera}: a picture that cannot be decoded`, error);
      }
      this.dispatchEvent(new CustomEvent("shown", { detail: header }));
    }
    this.#isDecoding = false;
  }

  #show(bitmap, header) {
    this.#frame?.bitmap.close();
    this.#frame = { bitmap, header };
    this.#drawnAt = performance.now();
    this.#draw();
    this.fps.add(1);
    this.latency.add(this.clock.now() - Date.parse(header.captured_at));
  }

  /** Show how old the picture is and what the camera says; called every second. */
  refresh() {
    const ageS = (performance.now() - this.#drawnAt) / 1000;
    const isWaiting = this.#frame === null;
    const isLate = !isWaiting && ageS > LATE_S;
    const isDown = this.state !== "online" && (isWaiting || isLate);
    let words = "";
    if (isDown) words = this.message || text(`state.${this.state}`);
    else if (isWaiting) words = text("waitingFrame");
    else if (isLate) words = text("frameLate", { seconds: Math.round(ageS) });
    this.cover.hidden = !words || !this.isVisible;
    this.coverText.textContent = words;
    this.element.classList.toggle("is-late", isLate || (isDown && !isWaiting));
    const median = this.latency.median();
    const facts = [];
    if (median !== null) {
      facts.push(text("fps", { fps: Math.round(this.fps.rate()) }), text("ms", { ms: Math.round(median) }));
      if (this.tier && this.element.classList.contains("is-large")) facts.push(text(`tier.${this.tier}`));
    }
    this.facts.textContent = facts.join(" · ");
  }

  #draw() {
    const width = this.widthPx;
    const height = Math.round(this.canvas.clientHeight * devicePixelRatio);
    if (!this.#frame || !width || !height) return;
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    const { bitmap, header } = this.#frame;
    const context = this.canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, 0, 0, width, height);
    const scale = { x: width / header.width, y: height / header.height };
    const boxes = [...header.boxes].sort((a, b) => this.#rank(a) - this.#rank(b));
    for (const box of boxes) this.#drawBox(context, box, scale);
  }

  #rank(box) {
    return this.selection.marks(box.person) ? 1 : 0;
  }

  #drawBox(context, { xyxy, person }, scale) {
    const pixel = devicePixelRatio;
    const [x1, y1, x2, y2] = xyxy;
    const [left, top, width, height] = [x1 * scale.x, y1 * scale.y, (x2 - x1) * scale.x, (y2 - y1) * scale.y];
    const isMarked = this.selection.marks(person);
    context.save();
    if (this.selection.isActive && !isMarked) context.globalAlpha = 0.5;
    context.lineWidth = (isMarked ? 3.5 : 2) * pixel;
    context.strokeStyle = person === null ? NOBODY : personColour(person);
    if (person === null) context.setLineDash([4 * pixel, 4 * pixel]);
    context.beginPath();
    context.roundRect(left, top, width, height, 4 * pixel);
    context.stroke();
    if (isMarked) {
      context.fillStyle = personColour(person, 0.22);
      context.fill();
    }
    if (person !== null) drawLabel(context, String(person), left, top, personColour(person), pixel * this.#labelScale);
    context.restore();
  }

  /** Numbers shrink with small pictures, so that they do not cover the people. */
  get #labelScale() {
    return Math.min(1, Math.max(0.7, this.canvas.clientWidth / 300));
  }

  #personAt(event) {
    if (!this.#frame) return null;
    const { header } = this.#frame;
    const x = (event.offsetX / this.canvas.clientWidth) * header.width;
    const y = (event.offsetY / this.canvas.clientHeight) * header.height;
    const area = ([x1, y1, x2, y2]) => (x2 - x1) * (y2 - y1);
    const hits = header.boxes.filter(
      ({ person, xyxy: [x1, y1, x2, y2] }) => person !== null && x >= x1 && x <= x2 && y >= y1 && y <= y2,
    );
    hits.sort((a, b) => area(a.xyxy) - area(b.xyxy));
    return hits.length ? hits[0].person : null;
  }

  #point(event) {
    const person = this.#personAt(event);
    this.canvas.style.cursor = person === null ? "" : "pointer";
    this.selection.hover(person);
  }
}

function drawLabel(context, label, left, top, colour, pixel) {
  const height = 18 * pixel;
  context.font = `700 ${12 * pixel}px ${getComputedStyle(document.body).fontFamily}`;
  const width = context.measureText(label).width + 12 * pixel;
  const y = Math.max(0, top - height - 2 * pixel);
  context.setLineDash([]);
  context.fillStyle = colour;
  context.beginPath();
  context.roundRect(Math.max(0, left - pixel), y, width, height, 6 * pixel);
  context.fill();
  context.fillStyle = ON_PERSON;
  context.textBaseline = "middle";
  context.fillText(label, Math.max(0, left - pixel) + 6 * pixel, y + height / 2 + 0.5 * pixel);
}

/**
 * Choose how many columns make the tiles largest in a box, without making them tiny.
 * @returns {number}
 */
export function bestColumns(count, aspect, width, height, gap) {
  let best = 1;
  let bestWidth = 0;
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const byWidth = (width - gap * (columns - 1)) / columns;
    const byHeight = ((height - gap * (rows - 1)) / rows) * aspect;
    const tile = Math.min(byWidth, byHeight);
    if (tile > bestWidth) [best, bestWidth] = [columns, tile];
  }
  return best;
}
