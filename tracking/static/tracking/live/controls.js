/** Start, stop, pause and go on, and the place in recordings: for those who may steer the session. */

import { ask } from "./api.js";
import { set } from "./elements.js";
import { text } from "./strings.js";
import { duration } from "./times.js";
import { toast } from "./toasts.js";

const TONES = { running: "good", waiting: "warn", starting: "warn", paused: "warn", failed: "bad" };
const OFFERED = {
  off: ["start"], waiting: ["stop"], starting: ["stop"], running: ["pause", "stop"], paused: ["resume", "stop"], failed: ["stop"],
};

export class Controls {
  #session = null;
  #heardMs = 0;
  #isAsking = false;

  /** `box` holds what everybody sees of the session, and for who may steer it also the buttons. */
  constructor(box, slug) {
    this.box = box;
    this.slug = slug;
    this.state = box.querySelector("[data-state]");
    this.words = box.querySelector("[data-state-text]");
    this.recordings = box.querySelector("[data-recordings]");
    for (const button of box.querySelectorAll("[data-ask]")) button.addEventListener("click", () => this.#ask(button.dataset.ask));
    for (const button of box.querySelectorAll("[data-jump]")) {
      button.addEventListener("click", () => this.#seek(this.#placeS() + Number(button.dataset.jump)));
    }
    box.querySelector("[data-begin]")?.addEventListener("click", () => this.#seek(0));
    box.querySelector("[data-seek]")?.addEventListener("submit", (event) => this.#seekTo(event));
    box.querySelector("[data-speed]")?.addEventListener("change", ({ target }) => this.#post("speed", { speed: Number(target.value) }));
  }

  /** Show how the session is: null while none is asked for. */
  show(session) {
    this.#session = session;
    this.#heardMs = performance.now();
    this.#render();
  }

  #render() {
    const state = this.#session?.state ?? "off";
    this.box.hidden = false;
    this.box.dataset.session = state;
    this.state.dataset.tone = TONES[state] ?? "";
    set(this.words, text(`session.${state}`));
    for (const button of this.box.querySelectorAll("[data-ask]")) {
      button.hidden = !(OFFERED[state] ?? ["stop"]).includes(button.dataset.ask);
      button.disabled = this.#isAsking;
    }
    this.tick();
  }

  /** Show the place in the recordings as it moves on. */
  tick() {
    const place = this.#session?.recordings;
    if (!this.recordings) return;
    this.recordings.hidden = !place;
    if (!place) return;
    set(this.recordings.querySelector("[data-place]"), duration(this.#placeS() * 1000));
    const speed = this.recordings.querySelector("[data-speed]");
    if (document.activeElement !== speed) speed.value = String(place.speed);
  }

  #placeS() {
    const { position_s: placeS, speed } = this.#session?.recordings ?? { position_s: 0, speed: 1 };
    const isMoving = this.#session?.state === "running";
    return Math.max(0, placeS + (isMoving ? ((performance.now() - this.#heardMs) / 1000) * speed : 0));
  }

  #ask(verb) {
    return verb === "start" && this.#session === null ? this.#call("/api/v1/sessions/", { environment: this.slug }) : this.#post(verb);
  }

  #seek(placeS) {
    return this.#post("seek", { position_s: Math.max(0, Math.round(placeS * 10) / 10) });
  }

  #seekTo(event) {
    event.preventDefault();
    const input = event.target.elements.place;
    const placeS = seconds(input.value);
    input.setCustomValidity(placeS === null ? text("placeExample") : "");
    if (placeS === null) input.reportValidity();
    else this.#seek(placeS);
  }

  #post(verb, body) {
    return this.#session === null ? undefined : this.#call(`/api/v1/sessions/${this.#session.id}/${verb}/`, body);
  }

  async #call(path, body) {
    if (this.#isAsking) return;
    this.#isAsking = true;
    this.#render();
    try {
      await ask("POST", path, body);
    } catch (error) {
      toast(error.message, "bad");
    } finally {
      this.#isAsking = false;
      this.#render();
    }
  }
}

/** Read `1:23`, `0:01:23` or `83`; null for what is none of these. */
export function seconds(words) {
  if (!/^\s*\d+(:[0-5]?\d){0,2}\s*$/.test(words)) return null;
  return words.trim().split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
}
