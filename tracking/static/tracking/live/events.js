/** The feed of what happened, newest first, and what of it is shown. */

import { ask } from "./api.js";
import { chip, make } from "./elements.js";
import { icon } from "./icons.js";
import { hasText, text } from "./strings.js";
import { clockTime } from "./times.js";
import { toast } from "./toasts.js";

const KEPT = 200;
const TONES = {
  camera_online: "good", camera_offline: "bad", camera_moved: "bad",
  person_appeared: "good", person_left: "", zone_enter: "", zone_leave: "", line_cross: "", handover: "",
  capacity_exceeded: "bad", capacity_restored: "good",
};
const GROUPS = {
  people: ["person_appeared", "person_left"],
  zones: ["zone_enter", "zone_leave", "line_cross", "capacity_exceeded", "capacity_restored"],
  identities: ["reidentified", "identity_merged", "identity_revised", "handover"],
  cameras: ["camera_online", "camera_offline", "camera_moved"],
};

export class EventFeed {
  #known = new Map(); // id -> row, oldest first

  /** @param {{filter: HTMLSelectElement, canAcknowledge?: boolean}} parts */
  constructor({ list, empty, filter, selection, cameraName, zoneName, canAcknowledge = false }) {
    Object.assign(this, { list, empty, filter, selection, cameraName, zoneName, canAcknowledge });
    filter.addEventListener("input", () => this.#sift());
    selection.addEventListener("follow", () => this.#sift());
    selection.addEventListener("change", () => this.#mark());
  }

  /** Begin with the events that `hello` tells, newest first. */
  reset(events) {
    this.list.replaceChildren();
    this.#known.clear();
    for (const event of [...events].reverse()) this.add(event, false);
    this.#showEmpty();
  }

  add(event, isNew = true) {
    if (this.#known.has(event.id)) return;
    const row = this.#row(event, isNew);
    row.hidden = !this.#fits(row);
    this.#known.set(event.id, row);
    this.list.prepend(row);
    if (this.#known.size > KEPT) {
      const [oldest, gone] = this.#known.entries().next().value;
      this.#known.delete(oldest);
      gone.remove();
    }
    this.#showEmpty();
  }

  /** Show that somebody has seen to an event. */
  acknowledge(id, by) {
    const row = this.#known.get(id);
    if (row) this.#showAcknowledged(row, { by });
  }

  #showAcknowledged(row, acknowledged) {
    const cell = row.querySelector(".event-ack");
    if (acknowledged) {
      const words = text("seenToBy", { by: acknowledged.by });
      cell.replaceChildren(make("span", { className: "event-seen", role: "img", "aria-label": words, title: words }, icon("check")));
    } else if (this.canAcknowledge) {
      const button = make("button", { type: "button", className: "icon-button", "aria-label": text("seenTo"), title: text("seenTo") }, icon("check"));
      button.addEventListener("click", () => this.#askAcknowledged(row, button));
      cell.replaceChildren(button);
    }
  }

  async #askAcknowledged(row, button) {
    button.disabled = true;
    try {
      const { acknowledged } = await ask("POST", `/api/v1/events/${row.dataset.id}/acknowledge/`, {});
      this.#showAcknowledged(row, acknowledged);
    } catch (error) {
      toast(error.message, "bad");
      button.disabled = false;
    }
  }

  #fits(row) {
    const wanted = this.filter.value;
    if (wanted === "all") return true;
    if (wanted === "followed") return row.dataset.person === String(this.selection.followed);
    return GROUPS[wanted].includes(row.dataset.kind);
  }

  #sift() {
    for (const row of this.#known.values()) row.hidden = !this.#fits(row);
    this.#showEmpty();
  }

  #showEmpty() {
    this.empty.hidden = [...this.#known.values()].some((row) => !row.hidden);
  }

  #mark() {
    for (const row of this.#known.values()) {
      row.classList.toggle("is-marked", row.dataset.person !== undefined && this.selection.marks(Number(row.dataset.person)));
    }
  }

  #row(event, isNew) {
    const row = make("li", { className: "event", "data-kind": event.kind, "data-id": event.id });
    row.classList.toggle("is-new", isNew);
    const time = make("time", { datetime: event.at, text: clockTime(Date.parse(event.at)) });
    const dot = make("span", { className: "dot", "data-tone": TONES[event.kind] ?? "warn", "aria-hidden": "true" });
    row.append(time, dot, this.#words(event), make("span", { className: "event-ack" }));
    this.#showAcknowledged(row, event.acknowledged ?? null);
    if (event.person !== null) {
      row.dataset.person = event.person;
      row.append(this.#person(event.person));
      row.addEventListener("pointerenter", () => this.selection.hover(event.person));
      row.addEventListener("pointerleave", () => this.selection.hover(null));
    }
    return row;
  }

  #person(person) {
    const button = make("button", { type: "button", className: "chip-button", "aria-label": text("followPerson", { number: person }) }, chip(person));
    button.addEventListener("click", () => this.selection.toggle(person));
    return button;
  }

  #words({ kind, zone, camera, payload }) {
    const key = `event.${kind}`;
    const values = {
      ...payload,
      zone: zone === null ? "" : this.zoneName(zone),
      camera: camera === null ? "" : this.cameraName(camera),
    };
    const words = hasText(key) ? text(key, values) : text("event.other", { kind: kind.replaceAll("_", " ") });
    return make("span", { className: "event-words", text: words });
  }
}
