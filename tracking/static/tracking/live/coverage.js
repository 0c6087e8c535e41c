/** Which parts of the floor cameras see, and which none does: drawn anew only when the map is moved. */

const HATCH_PX = 7;

export class Coverage {
  isShown = false;
  #views = [];

  /** @param {L.Map} map @param {(point: number[]) => {x: number, y: number}} pixel */
  constructor(map, pixel) {
    this.map = map;
    this.pixel = pixel;
    this.canvas = document.createElement("canvas");
    this.canvas.className = "map-coverage";
    map.getContainer().append(this.canvas);
    map.on("move zoom resize viewreset", () => this.draw());
    document.addEventListener("themechange", () => this.draw());
  }

  /**
   * Take what the cameras see, and the floor that matters.
   * @param {{field_of_view_m: number[][]}[]} cameras
   * @param {L.LatLngBounds} bounds
   */
  setPlace(cameras, bounds) {
    this.#views = cameras.map(({ field_of_view_m: view }) => view).filter((view) => view.length >= 3);
    this.bounds = bounds;
    this.draw();
  }

  show(isShown) {
    this.isShown = isShown;
    this.draw();
  }

  draw() {
    const { x: width, y: height } = this.map.getSize();
    const ratio = devicePixelRatio;
    this.canvas.hidden = !this.isShown;
    if (!this.isShown || !this.bounds) return;
    this.canvas.width = width * ratio;
    this.canvas.height = height * ratio;
    const context = this.canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const style = getComputedStyle(this.canvas);
    const [west, south] = [this.bounds.getWest(), this.bounds.getSouth()];
    const [east, north] = [this.bounds.getEast(), this.bounds.getNorth()];
    this.#path(context, [[west, south], [east, south], [east, north], [west, north]]);
    context.fillStyle = style.getPropertyValue("--blind");
    context.fill();
    this.#hatch(context, style.getPropertyValue("--blind-line"), width, height);
    context.globalCompositeOperation = "destination-out"; // what any camera sees is not blind
    for (const view of this.#views) {
      this.#path(context, view);
      context.fillStyle = "#000";
      context.fill();
    }
    context.globalCompositeOperation = "source-over"; // the more cameras, the stronger
    context.fillStyle = style.getPropertyValue("--covered");
    for (const view of this.#views) {
      this.#path(context, view);
      context.fill();
    }
  }

  #path(context, points) {
    context.beginPath();
    for (const point of points) {
      const { x, y } = this.pixel(point);
      context.lineTo(x, y);
    }
    context.closePath();
  }

  #hatch(context, colour, width, height) {
    context.save();
    context.clip();
    context.strokeStyle = colour;
    context.lineWidth = 1;
    context.beginPath();
    for (let x = -height; x < width; x += HATCH_PX) {
      context.moveTo(x, height);
      context.lineTo(x + height, 0);
    }
    context.stroke();
    context.restore();
  }
}
