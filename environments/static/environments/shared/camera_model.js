/**
 * A calibrated camera: floor metres to recorded pixels and back, in OpenCV's convention.
 *
 * Source: Hartley & Zisserman, Multiple View Geometry, 2nd ed., eq. 2.5; the lens as in OpenCV's documentation of the
 * calib3d module (k1 k2 p1 p2 k3).
 */
const HORIZON = 1e-9;
const ROUNDS = 30; // of undoing the lens

export class Model {
  #toImage;
  #toFloor;
  #lens = null;

  /** @param {{h_world_to_image: number[][], camera_matrix: number[][] | null, distortion: number[] | null}} numbers */
  constructor({ h_world_to_image: h, camera_matrix: matrix, distortion }) {
    this.#toImage = h;
    this.#toFloor = inverse(h);
    if (matrix && distortion?.some((k) => k !== 0)) this.#lens = new Lens(matrix, distortion);
  }

  /** Give the recorded pixel of a floor point; null behind the camera or where the lens folds over. */
  toPicture(x, y) {
    const point = applied(this.#toImage, x, y);
    return point && this.#lens ? this.#lens.distort(point) : point;
  }

  /** Give the floor point under a recorded pixel; null at and above the horizon. */
  toFloor(u, v) {
    const straight = this.#lens ? this.#lens.undistort([u, v]) : [u, v];
    return straight && applied(this.#toFloor, ...straight);
  }
}

class Lens {
  constructor([[fx, , cx], [, fy, cy]], [k1, k2, p1, p2, k3 = 0]) {
    Object.assign(this, { fx, fy, cx, cy, k1, k2, p1, p2, k3 });
    this.reach2 = reach2(k1, k2, k3);
  }

  distort([u, v]) {
    const x = (u - this.cx) / this.fx;
    const y = (v - this.cy) / this.fy;
    if (x * x + y * y > this.reach2) return null;
    const [a, b] = this.#bent(x, y);
    return [a * this.fx + this.cx, b * this.fy + this.cy];
  }

  undistort([u, v]) {
    const goal = [(u - this.cx) / this.fx, (v - this.cy) / this.fy];
    let [x, y] = goal;
    for (let round = 0; round < ROUNDS; round += 1) {
      const [a, b] = this.#bent(x, y);
      x += goal[0] - a;
      y += goal[1] - b;
    }
    const [a, b] = this.#bent(x, y);
    const isFound = Math.hypot(a - goal[0], b - goal[1]) * this.fx < 0.5;
    return isFound ? [x * this.fx + this.cx, y * this.fy + this.cy] : null;
  }

  #bent(x, y) {
    const r2 = x * x + y * y;
    const radial = 1 + r2 * (this.k1 + r2 * (this.k2 + r2 * this.k3));
    return [
      x * radial + 2 * this.p1 * x * y + this.p2 * (r2 + 2 * x * x),
      y * radial + this.p1 * (r2 + 2 * y * y) + 2 * this.p2 * x * y,
    ];
  }
}

/** The squared radius up to which the lens bends outwards: beyond it, it would fold the world back into the picture. */
function reach2(k1, k2, k3) {
  for (let r2 = 0.01; r2 < 100; r2 *= 1.01) {
    if (1 + r2 * (3 * k1 + r2 * (5 * k2 + r2 * 7 * k3)) <= 0) return r2;
  }
  return Infinity;
}

function applied(h, a, b) {
  const w = h[2][0] * a + h[2][1] * b + h[2][2];
  if (w <= HORIZON) return null;
  return [(h[0][0] * a + h[0][1] * b + h[0][2]) / w, (h[1][0] * a + h[1][1] * b + h[1][2]) / w];
}

/** Give the inverse of a 3x3 matrix. */
export function inverse([[a, b, c], [d, e, f], [g, h, i]]) {
  const det = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
  return [
    [e * i - f * h, c * h - b * i, b * f - c * e],
    [f * g - d * i, a * i - c * g, c * d - a * f],
    [d * h - e * g, b * g - a * h, a * e - b * d],
  ].map((row) => row.map((value) => value / det));
}
