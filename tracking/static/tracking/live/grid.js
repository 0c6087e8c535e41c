/** The tiles side by side: as large as they fit, one by tab, and which of them are in sight. */

import { text } from "./strings.js";
import { bestColumns } from "./tiles.js";

const GAP_PX = 12;
const MIN_TILE_PX = 220;

export class TileGrid {
  tiles = new Map();
  #large = null;

  constructor({ box, tabs, onChange }) {
    Object.assign(this, { box, tabs, onChange });
    this.observer = new IntersectionObserver((entries) => this.#seen(entries), { root: null, threshold: 0.01 });
    new ResizeObserver(() => this.layOut()).observe(box);
  }

  /** Show these tiles instead of those that were shown. */
  setTiles(tiles) {
    for (const tile of this.tiles.values()) {
      this.observer.unobserve(tile.element);
      tile.dispose();
    }
    this.tiles = new Map(tiles.map((tile) => [tile.camera.id, tile]));
    if (!this.tiles.has(this.#large)) this.#large = null;
    this.box.replaceChildren(...tiles.map((tile) => tile.element));
    for (const tile of tiles) {
      this.observer.observe(tile.element);
      tile.addEventListener("expand", () => this.enlarge(this.#large === null ? tile.camera.id : null));
    }
    this.#buildTabs();
    this.layOut();
  }

  /** Show one camera large, or all of them. */
  enlarge(id) {
    this.#large = id;
    this.#buildTabs();
    this.layOut();
  }

  #buildTabs() {
    const choices = this.tiles.size > 1 ? [null, ...this.tiles.keys()] : [];
    const hadFocus = this.tabs.contains(document.activeElement);
    this.tabs.replaceChildren(
      ...choices.map((id) => {
        const tab = document.createElement("button");
        tab.type = "button";
        tab.className = "tab";
        tab.textContent = id ?? text("all");
        if (id !== null) tab.title = this.tiles.get(id).camera.name;
        tab.setAttribute("aria-pressed", String(id === this.#large));
        tab.addEventListener("click", () => this.enlarge(id));
        return tab;
      }),
    );
    if (hadFocus) this.tabs.querySelector('[aria-pressed="true"]')?.focus();
  }

  layOut() {
    const shown = [];
    for (const [id, tile] of this.tiles) {
      const isShown = this.#large === null || this.#large === id;
      tile.element.hidden = !isShown;
      tile.setLarge(this.#large === id);
      if (isShown) shown.push(tile);
    }
    if (!shown.length) return;
    const { width, height } = this.box.getBoundingClientRect();
    const aspect = Math.min(...shown.map(({ camera }) => camera.width / camera.height));
    const isBounded = getComputedStyle(this.box).overflowY !== "visible";
    const columns = isBounded
      ? bestColumns(shown.length, aspect, width, height, GAP_PX)
      : Math.max(Math.min(2, shown.length), Math.floor(width / 300));
    const most = Math.max(1, Math.floor((width + GAP_PX) / (MIN_TILE_PX + GAP_PX)));
    const used = isBounded ? Math.min(columns, most) : Math.min(columns, shown.length);
    const rows = Math.ceil(shown.length / used);
    const byHeight = ((height - GAP_PX * (rows - 1)) / rows) * aspect;
    const byWidth = (width - GAP_PX * (used - 1)) / used;
    const tileWidth = isBounded ? Math.max(Math.min(byWidth, byHeight), Math.min(MIN_TILE_PX, byWidth)) : byWidth;
    this.box.style.setProperty("--columns", String(used));
    this.box.style.setProperty("--tile-width", `${Math.floor(tileWidth)}px`);
    for (const { element, camera } of shown) element.style.setProperty("--aspect", `${camera.width} / ${camera.height}`);
    this.onChange();
  }

  #seen(entries) {
    for (const entry of entries) {
      const tile = this.tiles.get(entry.target.dataset.camera);
      if (tile) tile.isVisible = entry.isIntersecting;
    }
    this.onChange();
  }
}
