/** How a floor plan's picture lies on the floor: its pixels to metres and back. */

const BLANK_M = 40; // without a plan, a square of so many metres around the origin
const BLANK_PX = 1600;

export class Floor {
  /** @param {{width_px: number, height_px: number, metres_per_px: number, origin_x_px: number, origin_y_px: number} | null} plan */
  constructor(plan) {
    this.hasPlan = plan !== null;
    const blank = { width_px: BLANK_PX, height_px: BLANK_PX, metres_per_px: BLANK_M / BLANK_PX };
    const { width_px: width, height_px: height, metres_per_px: scale, origin_x_px: u0, origin_y_px: v0 } =
      plan ?? { ...blank, origin_x_px: BLANK_PX / 2, origin_y_px: BLANK_PX / 2 };
    Object.assign(this, { width, height, scale, u0, v0 });
  }

  toMetres([u, v]) {
    return [(u - this.u0) * this.scale, (this.v0 - v) * this.scale];
  }

  toPixels([x, y]) {
    return [x / this.scale + this.u0, this.v0 - y / this.scale];
  }

  /** The floor that the picture covers, in metres: left, bottom, right, top. */
  get bounds() {
    const [left, top] = this.toMetres([0, 0]);
    const [right, bottom] = this.toMetres([this.width, this.height]);
    return { left, bottom, right, top };
  }
}
