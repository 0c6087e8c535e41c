/** Who is here: since when, how far they walked while watched, and which camera had them last. */

export class Presence {
  people = new Map(); // person -> last position
  #known = new Map(); // person -> { since, lastCamera, place, walkedM, watchedMs, atMs, sightings }
  #since = new Map();

  /** Take from `hello` since when those are here who are here. */
  setPresent(present) {
    this.#since = new Map(present.map(({ person, since }) => [person, Date.parse(since)]));
  }

  /** Forget everybody: what follows is another time. */
  clear() {
    this.people.clear();
    this.#known.clear();
    this.#since.clear();
  }

  setPositions(people, atMs) {
    this.people = new Map(people.map((person) => [person.person, person]));
    for (const person of people) this.#note(person, atMs);
    for (const number of this.#known.keys()) {
      if (this.people.has(number)) continue;
      this.#known.delete(number);
      this.#since.delete(number);
    }
  }

  #note({ person, x_m: x, y_m: y, cameras }, atMs) {
    const known = this.#known.get(person) ?? {
      since: this.#since.get(person) ?? atMs, lastCamera: null, place: [x, y], walkedM: 0, watchedMs: 0, atMs, sightings: 0,
    };
    known.walkedM += Math.hypot(x - known.place[0], y - known.place[1]);
    known.watchedMs += Math.max(0, atMs - known.atMs);
    Object.assign(known, { place: [x, y], atMs, lastCamera: cameras[0] ?? known.lastCamera });
    known.sightings += cameras.length;
    this.#known.set(person, known);
  }

  /** Since when somebody is here, in ms; null for who is not. */
  since(person) {
    return this.#known.get(person)?.since ?? null;
  }

  /** How fast somebody walked on average while this page watched, m/s; null while that says nothing. */
  averageMps(person) {
    const known = this.#known.get(person);
    return known && known.watchedMs >= 1000 ? (known.walkedM / known.watchedMs) * 1000 : null;
  }

  /** How often cameras saw somebody while this page watched. */
  sightings(person) {
    return this.#known.get(person)?.sightings ?? 0;
  }

  /** The camera that saw somebody last, null for none. */
  lastCamera(person) {
    return this.#known.get(person)?.lastCamera ?? null;
  }
}
