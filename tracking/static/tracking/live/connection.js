/**
 * The WebSocket to an environment: opens, opens again with back-off, and hands over what arrives.
 *
 * Events: `state` (read `state`, `reason`, `retryInS`), `message` (detail: the object), `frame` (detail: header
 * and picture), `clock` (detail: `offsetMs`, by which the server's clock is ahead of this machine's, and `rttMs`, how long
 * the question and its answer took: the shorter, the surer).
 */

const FIRST_RETRY_S = 1;
const MAX_RETRY_S = 15;
const SILENCE_S = 15; // the server says something every 5 s: silence is a dead line
const SETTLED_S = 10; // a connection that lasted this long starts the back-off anew
const PACKED = "spoton.packed"; // says that several texts may come as one message, long ones deflated
const ACK_MS = 15; // pictures shown within this time are acknowledged together
const CLOCK_S = 10;
const FIRST_CLOCKS = 4; // asked one after the other at the beginning

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
  #acks = {};
  #ackTimer = null;
  #inflating = null; // the end of what is being inflated, for texts that came after it
  #clocksLeft = 0;
  #clockTimer = null;

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
    const socket = new WebSocket(this.url, [this.subprotocol, PACKED]);
    this.#socket = socket;
    this.#acks = {};
    this.#inflating = null;
    clearInterval(this.#clockTimer);
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

  /**
   * Say that a picture is on the screen; the server sends as much as is acknowledged in time.
   * @param {string} camera
   * @param {number} seq
   */
  ack(camera, seq) {
    this.#acks[camera] = seq;
    this.#ackTimer ??= setTimeout(() => {
      this.#ackTimer = null;
      this.send({ type: "ack", frames: this.#acks });
      this.#acks = {};
    }, ACK_MS);
  }

  #receive(data) {
    this.#lastHeard = performance.now();
    if (typeof data === "string") {
      this.#inOrder(() => this.#takeTexts(data));
      return;
    }
    const { header, body } = split(data);
    if (header.type === "texts") {
      const socket = this.#socket;
      const text = inflate(body, header.encoding);
      const before = this.#inflating;
      const turn = (async () => {
        await before;
        const inflated = await text;
        if (socket === this.#socket) this.#takeTexts(inflated);
        if (turn === this.#inflating) this.#inflating = null;
      })();
      this.#inflating = turn;
      return;
    }
    this.dispatchEvent(new CustomEvent("frame", { detail: { header, picture: new Blob([body], { type: "image/jpeg" }) } }));
  }

  /** Do something after all texts that came earlier. */
  #inOrder(take) {
    if (this.#inflating === null) {
      take();
      return;
    }
    const socket = this.#socket;
    const before = this.#inflating;
    const turn = (async () => {
      await before;
      if (socket === this.#socket) take();
      if (turn === this.#inflating) this.#inflating = null;
    })();
    this.#inflating = turn;
  }

  #takeTexts(text) {
    const messages = JSON.parse(text);
    for (const message of Array.isArray(messages) ? messages : [messages]) this.#take(message);
  }

  #take(message) {
    if (this.state !== "live") {
      this.#liveSince = performance.now();
      this.#become("live");
    }
    if (message.type === "hello") this.#askClock();
    if (message.type === "clock") this.#takeClock(message);
    else this.dispatchEvent(new CustomEvent("message", { detail: message }));
  }

  /** Ask a few times for the server's time, then now and then. */
  #askClock() {
    clearInterval(this.#clockTimer);
    this.#clocksLeft = FIRST_CLOCKS;
    const ask = () => this.send({ type: "clock", sent: Date.now() });
    this.#clockTimer = setInterval(ask, CLOCK_S * 1000);
    ask();
  }

  #takeClock({ sent, at }) {
    const rttMs = Date.now() - sent;
    const offsetMs = Date.parse(at) + rttMs / 2 - Date.now();
    this.dispatchEvent(new CustomEvent("clock", { detail: { offsetMs, rttMs } }));
    this.#clocksLeft -= 1;
    if (this.#clocksLeft > 0) this.send({ type: "clock", sent: Date.now() });
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
 * Split a binary message: 4-byte big-endian header length, JSON header, and a body: a JPEG, or deflated texts.
 * @param {ArrayBuffer} buffer
 */
export function split(buffer) {
  const length = new DataView(buffer).getUint32(0);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  return { header, body: new Uint8Array(buffer, 4 + length) };
}

/** @param {Uint8Array} body @param {string} encoding */
function inflate(body, encoding) {
  return new Response(new Blob([body]).stream().pipeThrough(new DecompressionStream(encoding))).text();
}
