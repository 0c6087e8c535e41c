/** What is wrong, in one sentence: the connection first, then the session. */

import { set } from "./elements.js";
import { text } from "./strings.js";

const SILENT_S = 6;

export class Notice {
  session = undefined; // undefined while nothing is known, null while none is asked for
  isCalibrated = true;
  hasCameras = true;
  #heardMs = 0;

  constructor({ box, main, connection, pill }) {
    Object.assign(this, { box, main, connection, pill });
    this.words = box.querySelector("[data-words]");
    this.retry = box.querySelector("[data-retry]");
    this.login = box.querySelector("[data-sign-in]");
    this.login.href = main.dataset.login;
    this.retry.addEventListener("click", () => connection.retryNow());
    connection.addEventListener("state", () => this.#showConnection());
  }

  /** Note that the worker was heard. */
  heard() {
    this.#heardMs = performance.now();
  }

  #showConnection() {
    const { state, retryInS } = this.connection;
    const words = {
      connecting: text("connecting"),
      live: text("live"),
      reconnecting: retryInS > 0 ? text("reconnectingIn", { seconds: retryInS }) : text("reconnecting"),
      "signed-out": text("signedOut"),
      forbidden: text("noAccess"),
      gone: text("noAccess"),
    };
    this.pill.dataset.state = state;
    set(this.pill.querySelector("[data-words]"), words[state]);
    this.main.classList.toggle("is-stale", state !== "live" && state !== "connecting");
    if (state === "live") this.heard();
    this.refresh();
  }

  refresh() {
    const { state, reason } = this.connection;
    const lost = {
      reconnecting: reason === "service" ? text("noticeService") : text("noticeNetwork"),
      "signed-out": text("noticeSignedOut"),
      forbidden: text("noticeForbidden"),
      gone: text("noticeGone"),
    }[state];
    const words = lost ?? (state === "live" ? this.#sessionWords() : "");
    this.box.hidden = !words;
    this.box.dataset.tone = lost ? "bad" : "warn";
    set(this.words, words);
    this.retry.hidden = state !== "reconnecting";
    this.login.hidden = state !== "signed-out";
  }

  #sessionWords() {
    const { session } = this;
    if (session === undefined || !this.hasCameras) return "";
    if (session === null) return text("noticeNoSession");
    const words = {
      waiting: text("noticeWaiting"),
      starting: text("noticeStarting"),
      paused: text("noticePaused"),
      failed: text("noticeFailed"),
    }[session.state];
    if (words) return session.message ? `${words} ${session.message}` : words;
    const silentS = (performance.now() - this.#heardMs) / 1000;
    if (silentS > SILENT_S) return text("noticeSilent", { seconds: 5 * Math.floor(silentS / 5) });
    return this.isCalibrated ? "" : text("noticeNotCalibrated");
  }
}
