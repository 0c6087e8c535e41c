/** The floor plan in metres: Leaflet for what stands still, one canvas over it for everybody who moves. */

import { Coverage } from "./coverage.js";
import { make } from "./elements.js";
import { text } from "./strings.js";
import { Walkers } from "./walkers.js";

const GRID_M = [1, 2, 5, 10, 20, 50];
const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** A floor point as Leaflet takes it. */
const at = ([x, y]) => [y, x];

export class FloorMap extends EventTarget {
  #frameRequested = false;
  #areTrailsDue = true;
  #pannedAt = 0;

  /**
   * Events: `camera` when a camera on the map is chosen, `pointed` when one is pointed at.
   * @param {HTMLElement} element
   * @param {import("./selection.js").Selection} selection
   */
  constructor(element, selection) {
    super();
    this.selection = selection;
    this.map = L.map(element, {
      crs: L.CRS.Simple,
      attributionControl: false,
      zoomControl: false,
      zoomAnimation: false,
      zoomSnap: 0.25,
      zoomDelta: 0.5,
      minZoom: -4,
      maxZoom: 9,
      wheelPxPerZoomLevel: 140,
    });
    this.map.setView([0, 0], 4);
    L.control.zoom({ position: "bottomright", zoomInTitle: text("zoomIn"), zoomOutTitle: text("zoomOut") }).addTo(this.map);
    L.control.scale({ imperial: false, position: "bottomleft" }).addTo(this.map);
    this.layers = { views: L.layerGroup().addTo(this.map), zones: L.layerGroup().addTo(this.map) };
    this.plan = L.layerGroup().addTo(this.map);
    this.coverage = new Coverage(this.map, (point) => this.map.latLngToContainerPoint(at(point)));
    this.trails = make("canvas", { className: "map-people" });
    this.canvas = make("canvas", { className: "map-people" });
    element.append(this.trails, this.canvas);
    this.walkers = new Walkers(this.canvas, selection);
    this.#listen(element);
  }

  #listen(element) {
    const { map, selection } = this;
    map.on("move zoom resize viewreset", () => this.#request());
    // a map that nobody has moved keeps showing the whole floor when its panel changes size
    map.on("dragstart zoomstart", () => (this.isWhole = this.isFitting));
    map.on("mousemove", (event) => this.#point(event));
    map.on("mouseout", () => selection.hover(null));
    map.on("click", (event) => {
      const person = this.walkers.at(event.containerPoint, this.#view());
      if (person !== null) selection.toggle(person);
    });
    selection.addEventListener("change", () => this.#request());
    document.addEventListener("themechange", () => {
      this.walkers.restyle();
      this.#request();
    });
    new ResizeObserver(() => this.#resized()).observe(element);
  }

  /** Draw the place that `hello` describes. */
  setPlace({ cameras, zones, map }) {
    for (const layer of [this.plan, this.layers.views, this.layers.zones]) layer.clearLayers();
    this.walkers.clear();
    this.hasPlan = Boolean(map);
    this.bounds = map ? planBounds(map) : placeBounds(cameras, zones);
    if (map) L.imageOverlay(map.image_url, this.bounds, { alt: "", className: "map-plan" }).addTo(this.plan);
    this.cameraMarkers = new Map();
    this.cameraViews = new Map();
    this.zoneShapes = new Map();
    for (const camera of cameras) this.#addCamera(camera);
    for (const zone of zones) this.#addZone(zone);
    this.coverage.setPlace(cameras, this.bounds);
    this.fit();
  }

  /** Show the whole floor. */
  fit() {
    if (!this.bounds) return;
    this.isFitting = true;
    this.map.fitBounds(this.bounds, { padding: [10, 10], animate: false });
    this.isFitting = false;
    this.isWhole = true;
  }

  /** @param {"views" | "zones" | "coverage" | "trails" | "uncertainty" | "paths"} name @param {boolean} isShown */
  show(name, isShown) {
    if (name === "coverage") this.coverage.show(isShown);
    else if (name in this.walkers.shows) this.walkers.shows[name] = isShown;
    else if (isShown) this.layers[name].addTo(this.map);
    else this.layers[name].remove();
    this.#request();
  }

  /** @param {string} id @param {string} tone */
  setCameraTone(id, tone) {
    this.cameraMarkers?.get(id)?.getElement()?.setAttribute("data-tone", tone);
  }

  /** Let what a camera sees stand out while its picture is pointed at. */
  pointAtCamera(id, isPointed) {
    this.cameraViews?.get(id)?.getElement()?.classList.toggle("is-pointed", isPointed);
    this.cameraMarkers?.get(id)?.getElement()?.classList.toggle("is-pointed", isPointed);
  }

  /** Let a zone stand out while its count is pointed at. */
  pointAtZone(id, isPointed) {
    this.zoneShapes?.get(id)?.shape.getElement()?.classList.toggle("is-pointed", isPointed);
  }

  /** Write counts beside the zones' names: of areas who is in them, of lines who crossed them either way. */
  showCounts({ counts, areas, lines, crossings }) {
    for (const { id, name, capacity } of areas) {
      const count = counts.get(id);
      const words = capacity ? `${name} ${count}/${capacity}` : `${name} ${count}`;
      this.#label(id, words, capacity ? count > capacity : false);
    }
    for (const { id, name } of lines) {
      const { left_to_right: forwards, right_to_left: backwards } = crossings.get(id);
      this.#label(id, text("crossed", { zone: name, forwards, backwards }), false);
    }
  }

  #label(id, words, isFull) {
    const known = this.zoneShapes?.get(id);
    if (!known || known.words === words) return;
    known.words = words;
    known.shape.setTooltipContent(words);
    known.shape.getElement()?.classList.toggle("is-full", isFull);
    known.shape.getTooltip().getElement()?.classList.toggle("is-full", isFull);
  }

  /** Move everybody to where the message says they are. */
  setPositions(people, atMs) {
    const now = performance.now();
    this.walkers.move(people, atMs, now);
    this.#keepInView(now);
    this.#request();
  }

  /** Forget who was where: what follows is another time. */
  clearPeople() {
    this.walkers.clear();
    this.#request();
  }

  #keepInView(now) {
    const place = this.walkers.place(this.selection.followed);
    if (place === null || now - this.#pannedAt < 600) return;
    const point = this.map.latLngToContainerPoint(at(place));
    const size = this.map.getSize();
    const isCentral = Math.abs(point.x - size.x / 2) < size.x * 0.3 && Math.abs(point.y - size.y / 2) < size.y * 0.3;
    // who sees the whole floor sees them anyway
    if (isCentral || this.isWhole) return;
    this.#pannedAt = now;
    this.map.panTo(at(place), { animate: !calm.matches, duration: 0.5 });
  }

  #addCamera({ id, name, position_m: position, field_of_view_m: view }) {
    if (view.length >= 3) {
      const polygon = L.polygon(view.map(at), { className: "map-view", interactive: false });
      this.cameraViews.set(id, polygon.addTo(this.layers.views));
    }
    if (!position) return;
    const divIcon = L.divIcon({ html: make("span", { text: id }), className: "map-camera", iconSize: null });
    const marker = L.marker(at(position), { icon: divIcon, keyboard: false, title: name, alt: name }).addTo(this.layers.views);
    marker.on("click", () => this.dispatchEvent(new CustomEvent("camera", { detail: id })));
    for (const [event, isPointed] of [["mouseover", true], ["mouseout", false]]) {
      marker.on(event, () => this.dispatchEvent(new CustomEvent("pointed", { detail: { id, isPointed } })));
    }
    this.cameraMarkers.set(id, marker);
  }

  #addZone({ id, name, kind, points_m: points }) {
    const label = { permanent: true, direction: "center", className: "map-zone-label", interactive: false };
    const isArea = kind === "polygon";
    const shape = isArea
      ? L.polygon(points.map(at), { className: "map-zone", interactive: false })
      : L.polyline(points.map(at), { className: "map-line", interactive: false });
    shape.bindTooltip(name, isArea ? label : { ...label, direction: "top" }).addTo(this.layers.zones);
    this.zoneShapes.set(id, { shape, words: name });
    if (isArea) return;
    L.polyline(forwards(points).map(at), { className: "map-line-arrow", interactive: false }).addTo(this.layers.zones);
  }

  #resized() {
    this.map.invalidateSize({ pan: false });
    if (this.isWhole) this.fit();
    this.#request();
  }

  /** Have everything drawn with the next picture of the screen. */
  #request() {
    this.#areTrailsDue = true;
    this.#requestPins();
  }

  #requestPins() {
    if (this.#frameRequested) return;
    this.#frameRequested = true;
    requestAnimationFrame(() => {
      this.#frameRequested = false;
      this.#draw(performance.now());
    });
  }

  /** How metres lie on the screen now: on a flat map a shift and a scale. */
  #view() {
    const zero = this.map.latLngToContainerPoint([0, 0]);
    // Leaflet rounds to whole pixels: over a kilometre that does not matter
    const far = this.map.latLngToContainerPoint([1000, 1000]);
    const [x, y] = [(far.x - zero.x) / 1000, (far.y - zero.y) / 1000];
    return { scale: x, pixel: ([mx, my]) => [zero.x + mx * x, zero.y + my * y] };
  }

  #draw(now) {
    const view = this.#view();
    if (this.#areTrailsDue) {
      this.#areTrailsDue = false;
      const { context, width, height } = this.#cleared(this.trails);
      if (this.hasPlan === false) this.#drawGrid(context, view, width, height);
      this.walkers.drawTrails(context, view, now);
    }
    this.walkers.draw(this.#cleared(this.canvas).context, view, now);
    if (this.walkers.isBusy(now)) this.#requestPins();
  }

  #cleared(canvas) {
    const { x: width, y: height } = this.map.getSize();
    const ratio = devicePixelRatio;
    const [columns, rows] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== columns || canvas.height !== rows) [canvas.width, canvas.height] = [columns, rows];
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    return { context, width, height };
  }

  #drawGrid(context, { pixel }, width, height) {
    const bounds = this.map.getBounds();
    const span = bounds.getEast() - bounds.getWest();
    const step = GRID_M.find((candidate) => span / candidate < 16) ?? 100;
    context.strokeStyle = getComputedStyle(this.canvas).getPropertyValue("--line");
    context.lineWidth = 1;
    context.beginPath();
    for (let x = Math.ceil(bounds.getWest() / step) * step; x <= bounds.getEast(); x += step) {
      const column = Math.round(pixel([x, 0])[0]) + 0.5;
      context.moveTo(column, 0);
      context.lineTo(column, height);
    }
    for (let y = Math.ceil(bounds.getSouth() / step) * step; y <= bounds.getNorth(); y += step) {
      const row = Math.round(pixel([0, y])[1]) + 0.5;
      context.moveTo(0, row);
      context.lineTo(width, row);
    }
    context.stroke();
  }

  #point(event) {
    const person = this.walkers.at(event.containerPoint, this.#view());
    this.map.getContainer().classList.toggle("is-pointing", person !== null);
    this.selection.hover(person);
  }

  /** Say what the map shows, for assistive technology and for tests. */
  describe(count) {
    this.map.getContainer().dataset.people = String(count);
    this.map.getContainer().setAttribute("aria-description", text("peopleNow", { count }));
  }
}

function planBounds({ width_px: width, height_px: height, metres_per_px: scale, origin_px: [u, v] }) {
  return L.latLngBounds(at([-u * scale, (v - height) * scale]), at([(width - u) * scale, v * scale]));
}

function placeBounds(cameras, zones) {
  const points = [
    ...cameras.flatMap((camera) => [...camera.field_of_view_m, ...(camera.position_m ? [camera.position_m] : [])]),
    ...zones.flatMap((zone) => zone.points_m),
  ];
  return points.length ? L.latLngBounds(points.map(at)) : L.latLngBounds(at([-10, -10]), at([10, 10]));
}

/** An arrow across the middle of a line, from its left to its right: the way that counts as forwards. */
function forwards([[x1, y1], [x2, y2]]) {
  const length = Math.hypot(x2 - x1, y2 - y1) || 1;
  const right = [(y2 - y1) / length, -(x2 - x1) / length];
  const along = [(x2 - x1) / length, (y2 - y1) / length];
  const middle = [(x1 + x2) / 2, (y1 + y2) / 2];
  const point = (r, a) => [middle[0] + right[0] * r + along[0] * a, middle[1] + right[1] * r + along[1] * a];
  return [point(0, 0), point(0.8, 0), point(0.55, 0.2), point(0.8, 0), point(0.55, -0.2)];
}
