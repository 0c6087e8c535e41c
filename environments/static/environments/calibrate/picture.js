/** The camera's picture: of this moment where it is tracked, else what a probe of its address sees; or live. */

import { ask, RestError } from "../shared/rest.js";
import { text } from "../shared/words.js";

const POLL_MS = 500;
const PATIENCE_MS = 45_000;

/** Take a picture; the camera's address is opened for it where nobody tracks it. */
export async function takePicture({ snapshot, probe }, isTracked) {
  if (isTracked) {
    try {
      return await bitmapOf(await ask("GET", snapshot));
    } catch (error) {
      if (!(error instanceof RestError)) throw error; // it is not tracked any more
    }
  }
  await ask("POST", probe);
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    await new Promise((done) => setTimeout(done, POLL_MS));
    const found = await ask("GET", probe);
    if (found.state === "failed") throw new Error(found.message);
    if (found.state === "done") return bitmapOf(await ask("GET", `${probe}picture/`));
    if (performance.now() > deadline) throw new Error(text("probeSilent"));
  }
}

/** Give the last picture that a probe took, if there is one yet. */
export async function lastPicture({ probe }) {
  const blob = await ask("GET", `${probe}picture/`);
  return blob && bitmapOf(blob);
}

function bitmapOf(blob) {
  return createImageBitmap(blob);
}

/** Live pictures of one camera, by the WebSocket that the live view uses. Events: `picture`, `quiet` (none comes), `close`. */
export class LivePictures extends EventTarget {
  #socket = null;

  constructor({ path, subprotocol, camera }) {
    super();
    this.url = new URL(path, location.href);
    this.url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    this.subprotocol = subprotocol;
    this.camera = camera;
  }

  open() {
    const socket = new WebSocket(this.url, this.subprotocol);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => (typeof data === "string" ? this.#hear(JSON.parse(data)) : this.#show(data));
    socket.onclose = () => {
      if (socket === this.#socket) this.close();
    };
  }

  close() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    this.dispatchEvent(new Event("close"));
  }

  #hear(message) {
    if (message.type !== "hello") return;
    this.#send({ type: "subscribe", cameras: [this.camera], quality: "high" });
    const isUp = message.cameras.some(({ id, state }) => id === this.camera && state === "online");
    if (!isUp) this.dispatchEvent(new Event("quiet"));
  }

  async #show(buffer) {
    const length = new DataView(buffer).getUint32(0);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
    const picture = await createImageBitmap(new Blob([new Uint8Array(buffer, 4 + length)], { type: "image/jpeg" }));
    this.#send({ type: "ack", camera: this.camera, seq: header.seq });
    if (this.#socket) this.dispatchEvent(new CustomEvent("picture", { detail: picture }));
  }

  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }
}
