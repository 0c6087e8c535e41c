/** Brings the cards of the landing page to life: small pictures, people now and cameras up. */

import { Connection } from "./connection.js";
import { text } from "./strings.js";

const PICTURES = 4;

class Place {
  #connection;
  #canvases = new Map();
  #decoding = new Set();

  /** @param {HTMLElement} card */
  constructor(card) {
    this.card = card;
    this.states = new Map();
    this.#connection = new Connection(card.dataset.socket, "spoton.v1");
    this.#connection.addEventListener("message", ({ detail }) => this[`on_${detail.type}`]?.(detail));
    this.#connection.addEventListener("frame", ({ detail }) => this.#show(detail));
    this.#connection.addEventListener("state", () => {
      if (this.#connection.state === "reconnecting") this.#say(text("lost"));
      if (this.#connection.state === "signed-out") location.reload();
    });
  }

  open() {
    this.#connection.open();
  }

  close() {
    this.#connection.close();
  }

  on_hello({ cameras }) {
    this.states = new Map(cameras.map(({ id, state }) => [id, state]));
    const shown = cameras.slice(0, PICTURES);
    this.#canvases = new Map(
      shown.map(({ id, width, height }) => {
        const canvas = document.createElement("canvas");
        [canvas.width, canvas.height] = [384, Math.round((384 * height) / width)];
        return [id, canvas];
      }),
    );
    const box = this.card.querySelector(".place-pictures");
    if (shown.length) box.replaceChildren(...this.#canvases.values());
    box.dataset.count = String(shown.length);
    if (shown.length) {
      this.#connection.send({ type: "subscribe", cameras: [...this.#canvases.keys()], quality: "low" });
    }
    this.#showCameras();
  }

  on_status({ session, cameras }) {
    for (const { id, state } of cameras) this.states.set(id, state);
    this.#showCameras();
    if (session === null) this.#say(text("off"));
    else this.#say(session.state === "running" ? "" : text(session.state));
  }

  on_positions({ people }) {
    this.card.querySelector("[data-people]").textContent = String(people.length);
  }

  #say(words) {
    const line = this.card.querySelector("[data-state]");
    line.textContent = words;
    line.hidden = !words;
  }

  #showCameras() {
    const up = [...this.states.values()].filter((state) => state === "online").length;
    this.card.querySelector("[data-cameras-up]").textContent = String(up);
    this.card.querySelector("[data-cameras-all]").textContent = String(this.states.size);
    const tone = up === 0 ? "" : up === this.states.size ? "good" : "warn";
    this.card.querySelector("[data-cameras-dot]").dataset.tone = tone;
  }

  async #show({ header, picture }) {
    const { camera, seq } = header;
    const canvas = this.#canvases.get(camera);
    if (!canvas || this.#decoding.has(camera)) return;
    this.#decoding.add(camera);
    try {
      const bitmap = await createImageBitmap(picture);
      canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
      bitmap.close();
      canvas.classList.add("is-live");
    } catch (error) {
      console.warn(`camera ${camera}: a picture that cannot be decoded`, error);
    }
    this.#decoding.delete(camera);
    this.#connection.ack(camera, seq);
  }
}

/** Only cards in sight, on a page in sight, hold a connection. */
const places = new Map([...document.querySelectorAll("[data-socket]")].map((card) => [card, new Place(card)]));
const inSight = new Set();
const open = new Set();

function attend() {
  for (const [card, place] of places) {
    const isWanted = inSight.has(card) && !document.hidden;
    if (isWanted === open.has(card)) continue;
    if (isWanted) {
      open.add(card);
      place.open();
    } else {
      open.delete(card);
      place.close();
    }
  }
}

const observer = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) inSight.add(target);
    else inSight.delete(target);
  }
  attend();
});
for (const card of places.keys()) observer.observe(card);
document.addEventListener("visibilitychange", attend);
