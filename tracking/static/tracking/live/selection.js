/** Who is pointed at and who is followed, shared by the map, the pictures and the list. */

export class Selection extends EventTarget {
  hovered = null;
  followed = null;

  /** @param {number | null} person */
  hover(person) {
    if (person === this.hovered) return;
    this.hovered = person;
    this.dispatchEvent(new Event("change"));
  }

  /** Follow somebody; following the same person again stops it. */
  toggle(person) {
    this.follow(person === this.followed ? null : person);
  }

  /** @param {number | null} person */
  follow(person) {
    if (person === this.followed) return;
    this.followed = person;
    this.dispatchEvent(new Event("follow"));
    this.dispatchEvent(new Event("change"));
  }

  /** Say whether a person stands out now. */
  marks(person) {
    return person !== null && (person === this.hovered || person === this.followed);
  }

  /** Say whether anybody stands out, so that the others step back. */
  get isActive() {
    return this.hovered !== null || this.followed !== null;
  }
}
