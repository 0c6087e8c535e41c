/**
 * The WebSocket to an environment: opens, opens again with back-off, and hands over what arrives.
 *
 * Events: `state` (read `state`, `reason`, `retryInS`), `message` (detail: the object), `frame` (detail: header
 * and picture).
 */

const FIRST_RETRY_S = 1;
const MAX_RETRY_S = 15;
const SILENCE_S = 15; // the server says something every 5 s: silence is a dead line
const SETTLED_S = 10; // a connection that lasted this long starts the back-off anew

const CLOSED = { MALFORMED: 4400, UNAUTHENTICATED: 4401, FORBIDDEN: 4403, NOT_FOUND: 4404, TOO_MANY: 4429, UNAVAILABLE: 4503 };
const FINAL = { [CLOSED.UNAUTHENTICATED]: "signed-out", [CLOSED.FORBIDDEN]: "forbidden", [CLOSED.NOT_FOUND]: "gone" };

export class Connection extends EventTarget {
  state = "connecting"; // connecting, live, reconnecting, signed-out, forbidden, gone
  reason = "network"; // why it reconnects: network or service
  retryInS = 0;
  #socket = null;
  #tries = 0;
  #timer = null;
  #lastHeard = 0;
  #liveSince = 0;

  /**
   * @param {string} path
   * @param {string} subprotocol
   */
  constructor(path, subprotocol) {
    super();
    this.url = new URL(path, location.href);
    this.url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    this.subprotocol = subprotocol;
    addEventListener("online", () => this.retryNow());
    setInterval(() => this.#watch(), 1000);
  }

  open() {
    clearTimeout(this.#timer);
    const socket = new WebSocket(this.url, this.subprotocol);
    this.#socket = socket;
    this.#lastHeard = performance.now();
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = ({ code }) => {
      if (socket === this.#socket) this.#lost(code);
    };
  }

  close() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  /** Open at once instead of when the back-off is over. */
  retryNow() {
    if (this.state === "reconnecting") this.open();
  }

  /** @param {object} message */
  send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #receive(data) {
    this.#lastHeard = performance.now();
    if (typeof data !== "string") {
      this.dispatchEvent(new CustomEvent("frame", { detail: unpackFrame(data) }));
      return;
    }
    const message = JSON.parse(data);
    if (this.state !== "live") {
      this.#liveSince = performance.now();
      this.#become("live");
    }
    this.dispatchEvent(new CustomEvent("message", { detail: message }));
  }

  #lost(code) {
    this.#socket = null;
    if (code in FINAL) {
      this.#become(FINAL[code]);
      return;
    }
    if (this.state === "live" && performance.now() - this.#liveSince > SETTLED_S * 1000) this.#tries = 0;
    this.reason = code === CLOSED.UNAVAILABLE ? "service" : "network";
    const tooPushy = code === CLOSED.TOO_MANY || code === CLOSED.MALFORMED;
    const backoff = tooPushy ? MAX_RETRY_S : Math.min(FIRST_RETRY_S * 2 ** this.#tries, MAX_RETRY_S);
    this.#tries += 1;
    // spread out, so that a server that comes back is not stormed by everybody at once
    const waitS = backoff * (0.75 + Math.random() / 2);
    this.retryInS = Math.ceil(waitS);
    this.#timer = setTimeout(() => this.open(), waitS * 1000);
    this.#become("reconnecting");
  }

  #watch() {
    if (this.state === "reconnecting" && this.retryInS > 0) {
      this.retryInS -= 1;
      this.dispatchEvent(new Event("state"));
    }
    if (this.#socket && performance.now() - this.#lastHeard > SILENCE_S * 1000) {
      const dead = this.#socket;
      this.#socket = null;
      dead.close();
      this.#lost(1006);
    }
  }

  #become(state) {
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }
}

/**
 * Split a frame: 4-byte big-endian header length, JSON header, JPEG.
 * @param {ArrayBuffer} buffer
 */
export function unpackFrame(buffer) {
  const length = new DataView(buffer).getUint32(0);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  return { header, picture: new Blob([new Uint8Array(buffer, 4 + length)], { type: "image/jpeg" }) };
}
