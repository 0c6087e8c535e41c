/** What this page measures of itself: delay from light to screen, pictures shown and left out, quality, connection. */

import { Recent } from "./clock.js";
import { make, set } from "./elements.js";
import { text } from "./strings.js";

const LADDER = ["high", "medium", "low"];

export class Vitals {
  latency = new Recent(10000);
  rate = new Recent(3000);
  #sent = new Recent(10000);
  #skipped = new Recent(10000);
  #told = new Map(); // camera -> what the worker says of it
  #overload = null;
  #isLimited = false; // the server sends less than the tiles could show, as line or screen cannot keep up
  #reconnects = 0;

  /** @param {{summary: HTMLElement, box: HTMLElement}} parts */
  constructor({ summary, box, clock, tiles, connection }) {
    Object.assign(this, { summary, box, clock, tiles, connection });
    let wasLive = false;
    connection.addEventListener("state", () => {
      if (connection.state === "live") wasLive = true;
      else if (connection.state === "reconnecting" && wasLive) {
        this.#reconnects += 1;
        wasLive = false;
      }
    });
  }

  /** Count a picture that is on the screen now. */
  shown(header) {
    this.latency.add(this.clock.now() - Date.parse(header.captured_at));
    this.rate.add(1);
  }

  /** Take what the server sent and left out since it last said so. */
  setQuality({ sent, skipped, limited = false }) {
    this.#sent.add(sent);
    this.#skipped.add(skipped);
    this.#isLimited = limited;
  }

  /** Take what the worker says. */
  setStatus({ cameras, overload }) {
    for (const camera of cameras) this.#told.set(camera.id, camera);
    this.#overload = overload ?? null;
  }

  /** Show it all; called every second. */
  refresh() {
    const [p50, p95] = [this.latency.quantile(0.5), this.latency.quantile(0.95)];
    set(this.part("p50"), p50 === null ? "–" : text("ms", { ms: Math.round(p50) }));
    set(this.part("p95"), p95 === null ? "–" : text("ms", { ms: Math.round(p95) }));
    set(this.part("rate"), p50 === null ? "–" : String(Math.round(this.rate.rate())));
    const dropped = this.#dropped();
    set(this.part("dropped"), dropped === null ? "–" : text("percent", { percent: dropped }));
    this.part("dropped").dataset.tone = dropped > 20 ? "bad" : dropped > 5 ? "warn" : "";
    const step = this.#overload?.step ?? 0;
    const load = this.part("load");
    load.hidden = step === 0 && !this.#isLimited;
    set(load, step ? text("overload", this.#overload) : text("lessQuality"));
    if (this.box.matches(":popover-open")) this.#details(p50, p95, dropped);
  }

  part(name) {
    return this.summary.querySelector(`[data-vital="${name}"]`);
  }

  /** The share of pictures, in per cent, that did not make it to the screen; null while there are none. */
  #dropped() {
    const sent = this.#sent.sum();
    const skipped = this.#skipped.sum();
    const droppedHere = [...this.tiles().values()].reduce((sum, tile) => sum + tile.dropped.sum(), 0);
    return sent + skipped ? Math.round((100 * (skipped + droppedHere)) / (sent + skipped)) : null;
  }

  #details(p50, p95, dropped) {
    const rows = [...this.tiles().values()].map((tile) => {
      const told = this.#told.get(tile.camera.id) ?? {};
      const [mine50, mine95] = [tile.latency.quantile(0.5), tile.latency.quantile(0.95)];
      const cells = [
        tile.camera.name, text(`state.${tile.state}`), figure(told.fps, 1), pair(told.age_ms, told.age_p95_ms),
        figure(tile.fps.rate(), 1), pair(mine50, mine95), tile.tier ? text(`tier.${tile.tier}`) : "–",
      ];
      return make("tr", {}, ...cells.map((cell) => make("td", { text: cell })));
    });
    this.box.querySelector("[data-rows]").replaceChildren(...rows);
    const tiers = [...this.tiles().values()].map(({ tier }) => tier).filter(Boolean);
    const lowest = tiers.length ? LADDER[Math.max(...tiers.map((tier) => LADDER.indexOf(tier)))] : null;
    const quality = lowest === null ? "–" : text(`tier.${lowest}`);
    const { best } = this.clock;
    const facts = {
      delay: pair(p50, p95),
      dropped: dropped === null ? "–" : text("percent", { percent: dropped }),
      quality: this.#isLimited ? text("limited", { tier: quality }) : quality,
      overload: this.#overload?.step ? text("overload", this.#overload) : text("noOverload"),
      clock: best === null ? "–" : text("clockAhead", { ms: Math.round(-best.offsetMs), error: Math.ceil(best.rttMs / 2) }),
      reconnects: String(this.#reconnects),
    };
    for (const [key, value] of Object.entries(facts)) set(this.box.querySelector(`[data-fact="${key}"]`), value);
  }
}

function figure(value, digits) {
  return value === null || value === undefined ? "–" : value.toFixed(digits);
}

function pair(p50, p95) {
  return p50 === null || p50 === undefined ? "–" : `${Math.round(p50)} / ${Math.round(p95 ?? p50)} ms`;
}
