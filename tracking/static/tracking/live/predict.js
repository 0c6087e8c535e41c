/**
 * Where somebody will be, as the worker predicts it: their velocity fades as people turn and stop.
 *
 * The same formula and memory as `gpuworker/pipeline/prediction.py`; a test compares the two.
 */

export const MEMORY_S = 7.0;
export const HORIZONS_S = [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4];

/**
 * Give the places after some seconds.
 * @param {{x_m: number, y_m: number, vx_mps: number, vy_mps: number}} person
 * @param {number[]} horizonsS
 */
export function predictPath({ x_m: x, y_m: y, vx_mps: vx, vy_mps: vy }, horizonsS = HORIZONS_S) {
  return horizonsS.map((seconds) => {
    const reachS = -MEMORY_S * Math.expm1(-seconds / MEMORY_S);
    return [x + reachS * vx, y + reachS * vy];
  });
}
