/** The camera's picture laid on the floor: each pixel of the plan is looked up where the camera sees it. */

const MOST_PX = 700_000; // of what is drawn: fine enough to judge by, and drawn within a frame or two

/**
 * Draw the picture as seen from above.
 * @param {ImageData} picture
 * @param {{width: number, height: number}} camera its size, of which the picture may be a smaller copy
 * @param {import("../shared/camera_model.js").Model} model
 * @param {import("../shared/floor.js").Floor} floor
 * @returns {HTMLCanvasElement} covers the plan
 */
export function warped(picture, camera, model, floor) {
  const share = Math.min(1, Math.sqrt(MOST_PX / (floor.width * floor.height)));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(floor.width * share));
  canvas.height = Math.max(1, Math.round(floor.height * share));
  const context = canvas.getContext("2d");
  const out = context.createImageData(canvas.width, canvas.height);
  const from = new Uint32Array(picture.data.buffer);
  const to = new Uint32Array(out.data.buffer);
  const across = picture.width / camera.width;
  const down = picture.height / camera.height;
  for (let row = 0; row < canvas.height; row += 1) {
    for (let column = 0; column < canvas.width; column += 1) {
      const at = model.toPicture(...floor.toMetres([(column + 0.5) / share, (row + 0.5) / share]));
      if (!at) continue;
      const u = Math.floor(at[0] * across);
      const v = Math.floor(at[1] * down);
      if (u >= 0 && v >= 0 && u < picture.width && v < picture.height) {
        to[row * canvas.width + column] = from[v * picture.width + u];
      }
    }
  }
  context.putImageData(out, 0, 0);
  return canvas;
}
