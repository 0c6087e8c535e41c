/** What is drawn over picture and plan: the floor's grid, how far pairs are off, and where the camera can be trusted. */

const GRID_STEPS = 60; // lines of a grid, at most
const LINE_STEPS = 64; // pieces of a line: a lens bends it

/** Width of the grid's squares, in metres: one, or more where the floor is large. */
export function gridStep({ left, right, bottom, top }) {
  const span = Math.max(right - left, top - bottom);
  return [1, 2, 5, 10, 20, 50, 100].find((step) => span / step <= GRID_STEPS) ?? 200;
}

/** Draw the floor's grid as the camera sees it. */
export function drawGrid(context, unit, model, size, bounds, colours) {
  context.save();
  clipTo(context, size);
  const step = gridStep(bounds);
  const lines = [];
  for (let x = Math.ceil(bounds.left / step) * step; x <= bounds.right; x += step) {
    lines.push([[x, bounds.bottom], [x, bounds.top], x === 0]);
  }
  for (let y = Math.ceil(bounds.bottom / step) * step; y <= bounds.top; y += step) {
    lines.push([[bounds.left, y], [bounds.right, y], y === 0]);
  }
  for (const [from, to, isAxis] of lines) {
    // dark under light: it shows on any floor
    context.beginPath();
    traceLine(context, from, to, model, size);
    context.lineWidth = (isAxis ? 4.5 : 2.6) * unit;
    context.strokeStyle = colours.under;
    context.stroke();
    context.lineWidth = (isAxis ? 2.6 : 1.1) * unit;
    context.strokeStyle = isAxis ? colours.axis : colours.line;
    context.stroke();
  }
  context.restore();
}

function clipTo(context, size) {
  context.beginPath();
  context.rect(0, 0, ...size);
  context.clip();
}

function traceLine(context, [x1, y1], [x2, y2], model, [width, height]) {
  let isDown = false;
  for (let step = 0; step <= LINE_STEPS; step += 1) {
    const share = step / LINE_STEPS;
    const point = model.toPicture(x1 + (x2 - x1) * share, y1 + (y2 - y1) * share);
    // far outside it is of no use, and near the horizon lines run wild
    const isNear = point && Math.abs(point[0] - width / 2) < width * 2 && Math.abs(point[1] - height / 2) < height * 2;
    if (!isNear) isDown = false;
    else if (isDown) context.lineTo(...point);
    else {
      context.moveTo(...point);
      isDown = true;
    }
  }
}

/** Draw from where pairs were put to where the fit puts them. */
export function drawMisses(context, unit, misses, colours) {
  for (const { from, to, isOutlier } of misses) {
    context.strokeStyle = isOutlier ? colours.bad : colours.axis;
    context.lineWidth = 2 * unit;
    context.beginPath();
    context.moveTo(...from);
    context.lineTo(...to);
    context.stroke();
    context.beginPath();
    context.arc(...to, 3.5 * unit, 0, 2 * Math.PI);
    context.stroke();
  }
}

const BANDS_M = [0.1, 0.25, 0.5];

/** Which of the four bands of trust an error is in: 0 is the best. */
export function band(error) {
  const found = BANDS_M.findIndex((most) => error <= most);
  return found < 0 ? BANDS_M.length : found;
}

/** Draw cells of the floor by how exactly the camera places somebody there, with an ellipse here and there. */
export function drawTrust(context, unit, trust, floor, colours) {
  context.save();
  clipTo(context, [floor.width, floor.height]);
  const size = trust.step_m / floor.scale;
  for (const cell of trust.cells) {
    const [u, v] = floor.toPixels([cell.x, cell.y]);
    context.fillStyle = colours.bands[band(cell.major_m)];
    context.fillRect(u - size / 2, v - size / 2, size, size);
  }
  context.strokeStyle = colours.ellipse;
  context.lineWidth = 1.2 * unit;
  const apart = Math.max(2, Math.ceil((46 * unit) / size));
  for (const cell of trust.cells) {
    const column = Math.round(cell.x / trust.step_m - 0.5);
    const row = Math.round(cell.y / trust.step_m - 0.5);
    if (column % apart || row % apart) continue;
    const [u, v] = floor.toPixels([cell.x, cell.y]);
    context.beginPath();
    context.ellipse(u, v, cell.major_m / floor.scale, cell.minor_m / floor.scale, -cell.angle_rad, 0, 2 * Math.PI);
    context.stroke();
  }
  context.restore();
}

/** Draw crosshairs where the other picture is pointed at. */
export function drawTwin(context, unit, [u, v], colours) {
  context.lineWidth = 1.6 * unit;
  context.strokeStyle = colours.twin;
  context.beginPath();
  context.arc(u, v, 9 * unit, 0, 2 * Math.PI);
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    context.moveTo(u + dx * 4 * unit, v + dy * 4 * unit);
    context.lineTo(u + dx * 15 * unit, v + dy * 15 * unit);
  }
  context.stroke();
}

/** Draw a grid in metres where there is no plan. */
export function drawBlank(context, unit, floor, colours) {
  context.fillStyle = colours.blank;
  context.fillRect(0, 0, floor.width, floor.height);
  const { left, right, bottom, top } = floor.bounds;
  for (const isAxis of [false, true]) {
    context.beginPath();
    for (let x = Math.ceil(left); x <= right; x += 1) {
      if ((x === 0) !== isAxis) continue;
      context.moveTo(...floor.toPixels([x, bottom]));
      context.lineTo(...floor.toPixels([x, top]));
    }
    for (let y = Math.ceil(bottom); y <= top; y += 1) {
      if ((y === 0) !== isAxis) continue;
      context.moveTo(...floor.toPixels([left, y]));
      context.lineTo(...floor.toPixels([right, y]));
    }
    context.lineWidth = (isAxis ? 2 : 1) * unit;
    context.strokeStyle = isAxis ? colours.axis : colours.line;
    context.stroke();
  }
}
