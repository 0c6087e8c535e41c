/** How people look: of each a crop, cut from the frame that shows them best. */

const WIDTH_PX = 96;
const HEIGHT_PX = 192;
const MARGIN = 0.06;
const FADE_S = 20; // an older crop gives way to one that is not quite as good
const KEPT_S = 60; // of somebody who is gone
const KEPT = 300; // crops, oldest first to go
const EDGE_PX = 2;

export class Crops extends EventTarget {
  #crops = new Map(); // person -> { canvas, score, atMs }

  /** Look at a frame: cut out everybody whom it shows better than those before. Detail of `change`: the person. */
  take(bitmap, header) {
    const now = performance.now();
    for (const box of header.boxes) {
      if (box.person === null) continue;
      const score = rate(box, header);
      const known = this.#crops.get(box.person);
      if (known && score <= known.score * Math.exp((known.atMs - now) / (FADE_S * 1000))) continue;
      const canvas = known?.canvas ?? blank();
      cut(canvas, bitmap, box.xyxy, bitmap.width / header.width);
      this.#crops.set(box.person, { canvas, score, atMs: now });
      this.dispatchEvent(new CustomEvent("change", { detail: box.person }));
    }
  }

  /** Draw somebody's crop; say whether there is one. */
  show(person, canvas) {
    const known = this.#crops.get(person);
    const context = canvas.getContext("2d");
    if (!known) {
      context.clearRect(0, 0, canvas.width, canvas.height);
      return false;
    }
    if (canvas.width !== WIDTH_PX) [canvas.width, canvas.height] = [WIDTH_PX, HEIGHT_PX];
    context.drawImage(known.canvas, 0, 0);
    return true;
  }

  /** Forget those who are long gone. */
  prune() {
    const oldest = performance.now() - KEPT_S * 1000;
    const ages = [...this.#crops].sort(([, a], [, b]) => b.atMs - a.atMs);
    for (const [index, [person, { atMs }]] of ages.entries()) {
      if (index >= KEPT || atMs < oldest) this.#crops.delete(person);
    }
  }
}

function blank() {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [WIDTH_PX, HEIGHT_PX];
  return canvas;
}

/** How well a box shows its person: large, sure, whole, and nobody in front. */
function rate({ xyxy, confidence }, { width, height, boxes }) {
  const [x1, y1, x2, y2] = xyxy;
  const isCut = x1 <= EDGE_PX || y1 <= EDGE_PX || x2 >= width - EDGE_PX || y2 >= height - EDGE_PX;
  let covered = 0;
  for (const { xyxy: other } of boxes) {
    // who stands lower in the picture stands in front
    if (other === xyxy || other[3] <= y2) continue;
    covered += Math.max(0, Math.min(x2, other[2]) - Math.max(x1, other[0])) * Math.max(0, Math.min(y2, other[3]) - Math.max(y1, other[1]));
  }
  const area = (x2 - x1) * (y2 - y1);
  const free = Math.max(0, 1 - covered / area);
  return ((y2 - y1) / height) * confidence * free ** 2 * (isCut ? 0.4 : 1);
}

/** Fill a canvas with a box and a little around it. */
function cut(canvas, bitmap, [x1, y1, x2, y2], scale) {
  const height = (y2 - y1) * (1 + 2 * MARGIN) * scale;
  const width = Math.max((x2 - x1) * (1 + 2 * MARGIN) * scale, height * (WIDTH_PX / HEIGHT_PX));
  const [centreX, centreY] = [((x1 + x2) / 2) * scale, ((y1 + y2) / 2) * scale];
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.clearRect(0, 0, WIDTH_PX, HEIGHT_PX);
  const shown = WIDTH_PX / width; // a wide box keeps its shape
  context.drawImage(
    bitmap, centreX - width / 2, centreY - height / 2, width, height,
    0, (HEIGHT_PX - height * shown) / 2, WIDTH_PX, height * shown,
  );
}
