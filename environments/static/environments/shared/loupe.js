/** A round magnifier in a corner of a board, for what a fingertip hides. */

const SIZE_PX = 148;
const TIMES = 4; // over what the screen shows
const PASSES_MS = 1200; // after a key was pressed

export class Loupe {
  #timer = null;

  /** @param {HTMLElement} element */
  constructor(element) {
    this.canvas = document.createElement("canvas");
    this.canvas.className = "board-loupe";
    this.canvas.hidden = true;
    this.canvas.width = this.canvas.height = SIZE_PX * 2;
    element.append(this.canvas);
  }

  /**
   * Magnify a place.
   * @param {import("./board.js").Board} board
   * @param {number[]} point
   * @param {{passes?: boolean}} [options] whether it goes by itself
   */
  show(board, point, { passes = false } = {}) {
    clearTimeout(this.#timer);
    if (passes) this.#timer = setTimeout(() => this.hide(), PASSES_MS);
    const [x, y] = board.toScreen(point);
    const isNear = x < SIZE_PX * 1.4 && y < SIZE_PX * 1.4;
    this.canvas.classList.toggle("is-right", isNear);
    this.canvas.hidden = false;
    const context = this.canvas.getContext("2d");
    const size = this.canvas.width;
    const scale = Math.max((TIMES * 2) / board.unit, 4);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, size, size);
    context.setTransform(scale, 0, 0, scale, size / 2 - point[0] * scale, size / 2 - point[1] * scale);
    context.imageSmoothingEnabled = false;
    if (board.content) context.drawImage(board.content, 0, 0, ...board.size);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.strokeStyle = getComputedStyle(board.element).getPropertyValue("--accent");
    context.lineWidth = 2;
    context.beginPath();
    for (const [from, to] of [[0, size * 0.46], [size * 0.54, size]]) {
      context.moveTo(from, size / 2);
      context.lineTo(to, size / 2);
      context.moveTo(size / 2, from);
      context.lineTo(size / 2, to);
    }
    context.stroke();
  }

  hide() {
    this.canvas.hidden = true;
  }
}
