/** The tiles side by side: as large as they fit, one by tab, and which of them are in sight. */

import { text } from "./strings.js";

const GAP_PX = 12;
const MIN_TILE_PX = 170;

export class TileGrid extends EventTarget {
  tiles = new Map();
  #large = null;

  /** Events: `large` when another camera, or all, are shown; `change` when what is in sight may have changed. */
  constructor({ box, tabs }) {
    super();
    Object.assign(this, { box, tabs });
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
    }
    this.#buildTabs();
    this.layOut();
    this.dispatchEvent(new Event("large"));
  }

  /** The camera that is shown alone, null for all. */
  get large() {
    return this.#large;
  }

  /** Show one camera large, or all of them for null. */
  enlarge(id) {
    if (id === this.#large || (id !== null && !this.tiles.has(id))) return;
    this.#large = id;
    this.#buildTabs();
    this.layOut();
    this.dispatchEvent(new Event("large"));
  }

  /** Show the next camera, or the one before, alone. */
  step(by) {
    const ids = [...this.tiles.keys()];
    if (!ids.length) return;
    const at = this.#large === null ? (by > 0 ? -1 : 0) : ids.indexOf(this.#large);
    this.enlarge(ids[(at + by + ids.length) % ids.length]);
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
    this.dispatchEvent(new Event("change"));
  }

  #seen(entries) {
    for (const entry of entries) {
      const tile = this.tiles.get(entry.target.dataset.camera);
      if (tile) tile.isVisible = entry.isIntersecting;
    }
    this.dispatchEvent(new Event("change"));
  }
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
