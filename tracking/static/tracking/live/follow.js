/** Following somebody from camera to camera: the camera that sees them is shown, and a new number is kept up with. */

const LOST_MS = 1200; // a camera that has not seen them for so long gives way to one that does

export class Following {
  isSwitching = false; // whether the camera shown large changes with the person
  #seenMs = 0;
  #successors = new Map(); // number that was given up -> the person's number now

  constructor({ selection, grid }) {
    Object.assign(this, { selection, grid });
    selection.addEventListener("follow", () => (this.#seenMs = 0));
  }

  /** Note that a number turned out to be another person's. */
  note({ kind, person, payload }) {
    const isNew = kind === "identity_merged" || kind === "identity_revised";
    if (isNew && payload?.previous !== undefined) this.#successors.set(payload.previous, person);
  }

  /** Keep up with the followed person. @param {{person: number, cameras: string[]}[]} people */
  keepUp(people) {
    const { followed } = this.selection;
    if (followed === null) return;
    const person = people.find((candidate) => candidate.person === followed);
    const successor = this.#successors.get(followed);
    if (!person && successor !== undefined) {
      this.#successors.delete(followed);
      this.selection.follow(successor);
      return;
    }
    this.#switch(person?.cameras ?? []);
  }

  #switch(cameras) {
    const now = performance.now();
    const { large } = this.grid;
    if (!this.isSwitching || cameras.includes(large)) {
      this.#seenMs = now;
      return;
    }
    if (!cameras.length || (large !== null && now - this.#seenMs < LOST_MS)) return;
    this.#seenMs = now;
    this.grid.enlarge(cameras[0]);
  }
}
