/** Alerts that nobody has seen to yet, most urgent first, and the button that says that one has. */

import { ask } from "./api.js";
import { make, order, set } from "./elements.js";
import { text } from "./strings.js";
import { clockTime } from "./times.js";
import { toast } from "./toasts.js";

const URGENCY = ["critical", "warning", "info"];
const SHOWN = 20;

export class Alerts {
  #open = new Map(); // id -> { alert, row }

  /** @param {{box: HTMLElement, list: HTMLElement, count: HTMLElement, canAcknowledge: boolean, slug: string}} parts */
  constructor({ box, list, count, canAcknowledge, slug }) {
    Object.assign(this, { box, list, count, canAcknowledge, slug });
  }

  /** Begin with those that are open; asked for anew with each connection. */
  async load() {
    const query = new URLSearchParams({ environment: this.slug, acknowledged: "false", is_late: "false", page_size: String(SHOWN) });
    try {
      const { results } = await ask("GET", `/api/v1/notifications/alerts/?${query}`);
      this.#open.clear();
      this.list.replaceChildren();
      for (const alert of results) this.#put(alert);
    } catch (error) {
      console.info("open alerts are not known:", error.message); // those that come are shown all the same
    }
    this.#show();
  }

  /** Take an alert, or the newest word on one; number 0 is a test of a rule, to which there is nothing to see. */
  take(alert) {
    if (alert.id === 0) {
      toast(alert.text);
      return;
    }
    this.#put(alert);
    this.#show();
  }

  #put(alert) {
    this.#open.get(alert.id)?.row.remove();
    this.#open.delete(alert.id);
    if (!alert.acknowledged) this.#open.set(alert.id, { alert, row: this.#row(alert) });
  }

  #show() {
    const rank = ({ alert }) => URGENCY.indexOf(alert.severity);
    const sorted = [...this.#open.values()].sort((a, b) => rank(a) - rank(b) || b.alert.at.localeCompare(a.alert.at));
    for (const { alert, row } of sorted.splice(SHOWN)) {
      row.remove();
      this.#open.delete(alert.id);
    }
    order(this.list, sorted.map(({ row }) => row));
    this.box.hidden = sorted.length === 0;
    set(this.count, String(sorted.length));
  }

  #row({ id, at, severity, text: words }) {
    const time = make("time", { datetime: at, text: clockTime(Date.parse(at)) });
    const row = make("li", { className: "alert", "data-severity": severity }, time, make("span", { className: "event-words", text: words }));
    if (!this.canAcknowledge) return row;
    const button = make("button", { type: "button", className: "button button-quiet button-small", text: text("seenTo") });
    button.addEventListener("click", async () => {
      button.disabled = true;
      try {
        this.take(await ask("POST", `/api/v1/notifications/alerts/${id}/acknowledge/`, {}));
      } catch (error) {
        toast(error.message, "bad");
        button.disabled = false;
      }
    });
    row.append(button);
    return row;
  }
}
