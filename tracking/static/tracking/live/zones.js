/** Who is in which zone, and who crossed which line: counted in the page, so that it is as fresh as the map. */

/** Say whether a point lies inside a polygon. Source: Shimrat, Algorithm 112, Comm. ACM 5 (1962) 434. */
export function isInside([x, y], polygon) {
  let inside = false;
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i, i += 1) {
    const [[xi, yi], [xj, yj]] = [polygon[i], polygon[j]];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) inside = !inside;
  }
  return inside;
}

export class Zones {
  areas = [];
  lines = [];
  counts = new Map(); // id of an area -> people in it
  crossings = new Map(); // id of a line -> { left_to_right, right_to_left } since the day began
  #names = new Map();
  #of = new Map(); // person -> areas

  /** Take the zones that `hello` tells, and what was counted at the lines since the place's day began. */
  setPlace({ zones, crossings = [] }) {
    this.areas = zones.filter(({ kind }) => kind === "polygon");
    this.lines = zones.filter(({ kind }) => kind !== "polygon");
    this.#names = new Map(zones.map(({ id, name }) => [id, name]));
    this.#of.clear();
    this.counts = new Map(this.areas.map(({ id }) => [id, 0]));
    this.crossings = new Map(this.lines.map(({ id }) => [id, { left_to_right: 0, right_to_left: 0 }]));
    for (const { zone, direction, count } of crossings) {
      const line = this.crossings.get(zone);
      if (line && direction in line) line[direction] = count;
    }
  }

  /** Look where everybody is. */
  locate(people) {
    this.#of.clear();
    for (const id of this.counts.keys()) this.counts.set(id, 0);
    for (const { person, x_m: x, y_m: y } of people) {
      const areas = this.areas.filter(({ points_m: points }) => isInside([x, y], points));
      this.#of.set(person, areas);
      for (const { id } of areas) this.counts.set(id, this.counts.get(id) + 1);
    }
  }

  /** Count somebody who crosses a line. */
  note({ kind, zone, payload }) {
    const line = kind === "line_cross" ? this.crossings.get(zone) : undefined;
    if (line && payload?.direction in line) line[payload.direction] += 1;
  }

  /** Name the areas that somebody is in, empty for none. */
  where(person) {
    return (this.#of.get(person) ?? []).map(({ name }) => name).join(", ");
  }

  /** Name a zone. */
  name(id) {
    return this.#names.get(id) ?? id;
  }
}
