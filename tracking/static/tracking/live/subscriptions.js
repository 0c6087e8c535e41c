/** Which cameras the server sends, kept in step with what is on the screen. */

const WIDTHS = [384, 640, 1280]; // one subscription does for all sizes between two tiers

export class Subscriptions {
  #current = new Map(); // camera -> "quality width"

  /** @param {import("./connection.js").Connection} connection */
  constructor(connection) {
    this.connection = connection;
  }

  /** A new connection knows nothing of the last one's subscriptions. */
  forget() {
    this.#current.clear();
  }

  /**
   * Ask for what has changed.
   * @param {Map<string, number>} wanted camera -> device pixels of its picture's width
   * @param {string} quality
   */
  want(wanted, quality) {
    if (this.connection.state !== "live") return;
    const gone = [...this.#current.keys()].filter((camera) => !wanted.has(camera));
    if (gone.length) this.connection.send({ type: "unsubscribe", cameras: gone });
    for (const camera of gone) this.#current.delete(camera);
    const changed = new Map(); // width -> cameras
    for (const [camera, width] of wanted) {
      const step = WIDTHS.find((candidate) => candidate >= width * 0.8) ?? null;
      const key = `${quality} ${step}`;
      if (this.#current.get(camera) === key) continue;
      this.#current.set(camera, key);
      changed.set(step, [...(changed.get(step) ?? []), camera]);
    }
    for (const [step, cameras] of changed) {
      this.connection.send({ type: "subscribe", cameras, quality, max_width: step });
    }
  }
}
