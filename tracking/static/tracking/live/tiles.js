/** The camera pictures, each with its state, rate, delay and how many people it shows. */

import { Recent } from "./clock.js";
import { make, set } from "./elements.js";
import { icon } from "./icons.js";
import { Picture } from "./picture.js";
import { text } from "./strings.js";
import { duration } from "./times.js";

const LATE_S = 6;
const TONES = { online: "good", connecting: "warn", ended: "warn", offline: "bad", failed: "bad", off: "" };

export class Tile extends EventTarget {
  fps = new Recent(3000);
  latency = new Recent(10000);
  dropped = new Recent(10000);
  isVisible = true;
  state = "off";
  tier = null; // the quality that the server sends
  #pending = null;
  #isDecoding = false;
  #takenAt = null; // when what is shown was captured, by this page's clock

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
    this.picture = new Picture(this.canvas, selection);
    this.#listen();
    this.setState(camera.state, "");
  }

  #build() {
    const { camera } = this;
    this.canvas = make("canvas", { role: "img", "aria-label": text("cameraPicture", { camera: camera.name }) });
    this.coverText = make("span");
    this.cover = make("div", { className: "tile-cover" }, icon("camera"), this.coverText);
    this.dot = make("span", { className: "dot" });
    this.people = make("b", { text: "–" });
    this.count = make("span", { className: "tile-count", title: text("peopleInPicture") }, icon("people"), this.people);
    this.facts = make("span", { className: "tile-facts" });
    this.button = make("button", { type: "button", className: "icon-button tile-expand" });
    const name = make("span", { className: "tile-name", text: camera.name });
    const caption = make("figcaption", {}, this.dot, name, this.count, this.facts);
    this.element = make("figure", { className: "tile", "data-camera": camera.id }, this.canvas, this.cover, caption, this.button);
    this.setLarge(false);
  }

  #listen() {
    this.button.addEventListener("click", () => this.dispatchEvent(new Event("expand")));
    this.element.addEventListener("dblclick", () => this.dispatchEvent(new Event("expand")));
    for (const [event, isPointed] of [["pointerenter", true], ["pointerleave", false]]) {
      this.element.addEventListener(event, () => this.dispatchEvent(new CustomEvent("pointed", { detail: isPointed })));
    }
    this.canvas.addEventListener("pointermove", (event) => this.#point(event));
    this.canvas.addEventListener("pointerleave", () => this.selection.hover(null));
    this.canvas.addEventListener("click", (event) => {
      const person = this.picture.personAt(event);
      if (person !== null) this.selection.toggle(person);
    });
    this.redraw = () => this.picture.draw();
    this.selection.addEventListener("change", this.redraw);
    this.resizer = new ResizeObserver(this.redraw);
    this.resizer.observe(this.canvas);
  }

  /** Let go of what outlives the element. */
  dispose() {
    this.selection.removeEventListener("change", this.redraw);
    this.resizer.disconnect();
    this.picture.dispose();
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

  /** Let the tile stand out while something else that means its camera is pointed at. */
  setPointed(isPointed) {
    this.element.classList.toggle("is-pointed", isPointed);
  }

  /** Give how wide the picture is on the screen, in device pixels. */
  get widthPx() {
    return this.picture.widthPx;
  }

  /**
   * Take a frame. While one is being decoded only the newest of those that follow is kept.
   * @param {{header: object, picture: Blob}} frame
   */
  async take(frame) {
    if (this.#isOlder(frame.header)) {
      this.dispatchEvent(new CustomEvent("shown", { detail: frame.header })); // nothing to do is done
      return;
    }
    if (this.#pending) this.dropped.add(1);
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

  /** Say whether a picture that was kept for who comes anew is older than what is shown. */
  #isOlder({ still, captured_at: at }) {
    const shown = this.picture.header;
    return Boolean(still) && shown !== null && Date.parse(at) <= Date.parse(shown.captured_at);
  }

  #show(bitmap, header) {
    const ageMs = Math.max(0, this.clock.now() - Date.parse(header.captured_at));
    this.dispatchEvent(new CustomEvent("frame", { detail: { bitmap, header } }));
    this.picture.take(bitmap, header);
    this.#takenAt = performance.now() - ageMs;
    if (!header.still) {
      this.fps.add(1);
      this.latency.add(ageMs);
    }
    set(this.people, String(header.boxes.filter(({ person }) => person !== null).length));
    this.#markFollowed();
  }

  #markFollowed() {
    const { followed } = this.selection;
    const isHere = followed !== null && Boolean(this.picture.header?.boxes.some(({ person }) => person === followed));
    this.element.classList.toggle("has-followed", isHere);
  }

  /** Show how old the picture is and what the camera says; called every second. */
  refresh() {
    const isWaiting = this.#takenAt === null;
    const ageS = (performance.now() - this.#takenAt) / 1000;
    const isLate = !isWaiting && ageS > LATE_S;
    const isDown = this.state !== "online" && (isWaiting || isLate);
    let words = "";
    if (isDown) words = this.message || text(`state.${this.state}`);
    else if (isWaiting) words = text("waitingFrame");
    if (isLate) words = [words, text("frameLate", { time: duration(1000 * ageS) })].filter(Boolean).join(" · ");
    this.cover.hidden = !words || !this.isVisible;
    set(this.coverText, words);
    this.element.classList.toggle("is-late", isLate || (isDown && !isWaiting));
    this.count.hidden = isWaiting || isLate;
    const median = isLate ? null : this.latency.quantile(0.5);
    const facts = [];
    if (median !== null) {
      facts.push(text("fps", { fps: Math.round(this.fps.rate()) }), text("ms", { ms: Math.round(median) }));
      if (this.tier && this.element.classList.contains("is-large")) facts.push(text(`tier.${this.tier}`));
    }
    set(this.facts, facts.join(" · "));
    this.#markFollowed();
  }

  #point(event) {
    const person = this.picture.personAt(event);
    this.canvas.style.cursor = person === null ? "" : "pointer";
    this.selection.hover(person);
  }
}
