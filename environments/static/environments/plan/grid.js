/** Squares of the floor over a plan's picture, turned as its axes will be. */

/**
 * @param {CanvasRenderingContext2D} context
 * @param {import("../shared/board.js").Board} board
 * @param {{origin: number[], metresPerPx: number, turnDeg: number}} floor
 */
export function drawFloorGrid(context, board, { origin, metresPerPx, turnDeg }, colours) {
  const [width, height] = board.size;
  const span = Math.max(width, height) * metresPerPx;
  const step = [1, 2, 5, 10, 20, 50].find((metres) => span / metres < 60) ?? 100;
  // from wherever the origin lies, as far as the picture's far corner
  const far = Math.hypot(Math.max(origin[0], width - origin[0]), Math.max(origin[1], height - origin[1])) * metresPerPx;
  const count = Math.min(Math.ceil(far / step), 200);
  const [gap, reach] = [step / metresPerPx, (count * step) / metresPerPx];
  context.save();
  context.beginPath();
  context.rect(0, 0, width, height);
  context.clip();
  context.translate(...origin);
  context.rotate((turnDeg * Math.PI) / 180);
  for (const isAxis of [false, true]) {
    context.strokeStyle = isAxis ? colours.axis : colours.grid;
    context.lineWidth = (isAxis ? 2.2 : 1) * board.unit;
    context.beginPath();
    for (let at = -count; at <= count; at += 1) {
      if ((at === 0) !== isAxis) continue;
      context.moveTo(at * gap, -reach);
      context.lineTo(at * gap, reach);
      context.moveTo(-reach, at * gap);
      context.lineTo(reach, at * gap);
    }
    context.stroke();
  }
  context.restore();
}
