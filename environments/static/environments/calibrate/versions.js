/** Earlier calibrations of the camera, and calibrations from elsewhere: look at one, use one. */

import { ask } from "../shared/rest.js";
import { metres, text } from "../shared/words.js";

export class Versions {
  /**
   * @param {HTMLElement} list
   * @param {string} url
   * @param {{look: (version: object) => void, say: (text: string, tone: string) => void}} page
   */
  constructor(list, url, page) {
    this.list = list;
    this.url = url;
    this.page = page;
  }

  async refresh() {
    const { results } = await ask("GET", this.url);
    this.list.replaceChildren(...results.map((version) => this.#row(version)));
    this.list.hidden = results.length === 0;
    return results;
  }

  #row(version) {
    const row = document.createElement("li");
    row.dataset.version = version.id;
    row.classList.toggle("is-active", version.is_active);
    const what = document.createElement("div");
    const when = document.createElement("strong");
    when.textContent = new Date(version.created_at).toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
    const worth = document.createElement("span");
    worth.textContent = this.#worth(version);
    what.append(when, worth);
    row.append(what);
    if (version.is_active) {
      const badge = document.createElement("span");
      badge.className = "badge";
      badge.textContent = text("inUse");
      row.append(badge);
    } else {
      row.append(this.#button("useVersion", () => this.#use(version)));
    }
    if (version.point_pairs.length) row.append(this.#button("lookVersion", () => this.page.look(version)));
    return row;
  }

  #worth(version) {
    const by = version.created_by || text("somebody");
    if (!version.point_pairs.length) return text("versionNumbers", { by });
    const errors = version.errors.map((error) => error.error_m).filter((error) => error !== null);
    const mean = errors.reduce((sum, error) => sum + error, 0) / errors.length;
    return text("versionPairs", { by, count: version.point_pairs.length, error: metres(mean) });
  }

  #button(key, act) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button-plain";
    button.textContent = text(key);
    button.addEventListener("click", act);
    return button;
  }

  async #use(version) {
    try {
      await ask("POST", `${this.url}${version.id}/use/`);
      await this.refresh();
      this.page.say(text("versionUsed"), "good");
      if (version.point_pairs.length) this.page.look(version);
    } catch (error) {
      this.page.say(error.message, "bad");
    }
  }
}
