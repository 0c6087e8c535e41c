/** The floor plan in metres: Leaflet for what stands still, one canvas over it for everybody who moves. */

import { ON_PERSON, personColour } from "./colours.js";
import { text } from "./strings.js";

const TRAIL_S = 20;
const TRAIL_STEP_M = 0.12;
const TRAIL_STEPS_MAX = 160;
const TRAIL_BANDS = 8; // strokes per trail, each fainter than the next
const GLIDE_MS = 220; // a pin glides to a new position instead of jumping
const FADE_MS = 1200;
const HIT_PX = 26;
const GRID_M = [1, 2, 5, 10, 20, 50];
const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** A floor point as Leaflet takes it. */
const at = ([x, y]) => [y, x];

export class FloorMap {
  showTrails = true;
  #people = new Map(); // person -> { to, from, movedAt, seenAt, isHere, trail }
  #frameRequested = false;
  #busyUntil = 0;
  #pannedAt = 0;

  /**
   * @param {HTMLElement} element
   * @param {import("./selection.js").Selection} selection
   */
  constructor(element, selection) {
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
    L.control.zoom({ position: "bottomright" }).addTo(this.map);
    L.control.scale({ imperial: false, position: "bottomleft" }).addTo(this.map);
    this.layers = { views: L.layerGroup().addTo(this.map), zones: L.layerGroup().addTo(this.map) };
    this.plan = L.layerGroup().addTo(this.map);
    this.canvas = document.createElement("canvas");
    this.canvas.className = "map-people";
    element.append(this.canvas);
    this.map.on("move zoom resize viewreset", () => this.#request());
    // a map that nobody has moved keeps showing the whole floor when its panel changes size
    this.map.on("dragstart zoomstart", () => (this.isWhole = this.isFitting));
    this.map.on("mousemove", (event) => this.#point(event));
    this.map.on("mouseout", () => selection.hover(null));
    this.map.on("click", (event) => {
      const person = this.#personAt(event.containerPoint);
      if (person !== null) selection.toggle(person);
    });
    selection.addEventListener("change", () => this.#request());
    document.addEventListener("themechange", () => this.#request());
    new ResizeObserver(() => this.#resized()).observe(element);
  }

  /** Draw the place that `hello` describes. */
  setPlace({ cameras, zones, map }) {
    for (const layer of [this.plan, this.layers.views, this.layers.zones]) layer.clearLayers();
    this.#people.clear();
    this.hasPlan = Boolean(map);
    this.bounds = map ? planBounds(map) : placeBounds(cameras, zones);
    if (map) L.imageOverlay(map.image_url, this.bounds, { alt: "", className: "map-plan" }).addTo(this.plan);
    this.cameraMarkers = new Map();
    this.cameraViews = new Map();
    for (const camera of cameras) this.#addCamera(camera);
    for (const zone of zones) this.#addZone(zone);
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

  /** @param {"views" | "zones" | "trails"} name @param {boolean} isShown */
  show(name, isShown) {
    if (name === "trails") this.showTrails = isShown;
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

  /** Move everybody to where the message says they are. */
  setPositions(people, atMs) {
    const now = performance.now();
    const here = new Set();
    for (const person of people) {
      here.add(person.person);
      this.#move(person, atMs, now);
    }
    for (const [number, entry] of this.#people) {
      if (!here.has(number)) entry.isHere = false;
      if (now - entry.seenAt > TRAIL_S * 1000) this.#people.delete(number);
    }
    this.#busyUntil = now + Math.max(GLIDE_MS, FADE_MS);
    this.#keepInView(now);
    this.#request();
  }

  #move(person, atMs, now) {
    const position = [person.x_m, person.y_m];
    const entry = this.#people.get(person.person);
    if (!entry) {
      const fresh = { person, from: position, to: position, movedAt: now, seenAt: now, isHere: true };
      this.#people.set(person.person, { ...fresh, trail: [[atMs, ...position]] });
      return;
    }
    entry.from = glide(entry, now);
    Object.assign(entry, { person, to: position, movedAt: now, seenAt: now, isHere: true });
    const [, x, y] = entry.trail.at(-1) ?? [0, Infinity, Infinity];
    if (Math.hypot(position[0] - x, position[1] - y) >= TRAIL_STEP_M) entry.trail.push([atMs, ...position]);
    while (entry.trail.length > TRAIL_STEPS_MAX || (entry.trail.length && entry.trail[0][0] < atMs - TRAIL_S * 1000)) {
      entry.trail.shift();
    }
  }

  #keepInView(now) {
    const entry = this.#people.get(this.selection.followed);
    if (!entry?.isHere || now - this.#pannedAt < 600) return;
    const point = this.map.latLngToContainerPoint(at(entry.to));
    const size = this.map.getSize();
    const isCentral = Math.abs(point.x - size.x / 2) < size.x * 0.3 && Math.abs(point.y - size.y / 2) < size.y * 0.3;
    if (isCentral) return;
    this.#pannedAt = now;
    this.isWhole = false;
    this.map.panTo(at(entry.to), { animate: !calm.matches, duration: 0.5 });
  }

  #addCamera({ id, name, position_m: position, field_of_view_m: view }) {
    if (view.length >= 3) {
      const polygon = L.polygon(view.map(at), { className: "map-view", interactive: false });
      this.cameraViews.set(id, polygon.addTo(this.layers.views));
    }
    if (!position) return;
    const marker = document.createElement("span");
    marker.textContent = id;
    const divIcon = L.divIcon({ html: marker, className: "map-camera", iconSize: null });
    const leaflet = L.marker(at(position), { icon: divIcon, keyboard: false, title: name }).addTo(this.layers.views);
    this.cameraMarkers.set(id, leaflet);
  }

  #addZone({ name, kind, points_m: points }) {
    const label = { permanent: true, direction: "center", className: "map-zone-label", interactive: false };
    if (kind === "polygon") {
      const area = L.polygon(points.map(at), { className: "map-zone", interactive: false });
      area.bindTooltip(name, label).addTo(this.layers.zones);
      return;
    }
    const line = L.polyline(points.map(at), { className: "map-line", interactive: false });
    line.bindTooltip(name, { ...label, direction: "top" }).addTo(this.layers.zones);
    L.polyline(forwards(points).map(at), { className: "map-line-arrow", interactive: false }).addTo(this.layers.zones);
  }

  #resized() {
    this.map.invalidateSize({ pan: false });
    if (this.isWhole) this.fit();
    this.#request();
  }

  #request() {
    if (this.#frameRequested) return;
    this.#frameRequested = true;
    requestAnimationFrame(() => {
      this.#frameRequested = false;
      this.#draw(performance.now());
    });
  }

  #draw(now) {
    const { x: width, y: height } = this.map.getSize();
    const ratio = devicePixelRatio;
    if (this.canvas.width !== width * ratio || this.canvas.height !== height * ratio) {
      this.canvas.width = width * ratio;
      this.canvas.height = height * ratio;
    }
    const context = this.canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const style = getComputedStyle(this.canvas);
    if (this.hasPlan === false) this.#drawGrid(context, width, height, style.getPropertyValue("--line"));
    const entries = [...this.#people.values()].sort((a, b) => this.#rank(a) - this.#rank(b));
    if (this.showTrails) for (const entry of entries) this.#drawTrail(context, entry, now);
    for (const entry of entries) this.#drawPin(context, entry, now, style);
    if (now < this.#busyUntil) this.#request();
  }

  #rank(entry) {
    // those who stand out last, so that they lie on top; the others from the back to the front
    return (this.selection.marks(entry.person.person) ? 1e6 : 0) - entry.to[1];
  }

  #strength(entry, now) {
    const presence = entry.isHere ? 1 : Math.max(0, 1 - (now - entry.seenAt) / FADE_MS);
    const stepsBack = this.selection.isActive && !this.selection.marks(entry.person.person);
    return presence * (stepsBack ? 0.5 : 1);
  }

  #pixel(position) {
    return this.map.latLngToContainerPoint(at(position));
  }

  #drawTrail(context, entry, now) {
    const strength = this.#strength(entry, now);
    const points = [...entry.trail.map(([, x, y]) => [x, y]), glide(entry, now)];
    if (strength === 0 || points.length < 2) return;
    context.lineJoin = context.lineCap = "round";
    context.lineWidth = this.selection.marks(entry.person.person) ? 5 : 3.5;
    const perBand = Math.max(1, Math.ceil((points.length - 1) / TRAIL_BANDS));
    for (let start = 0; start < points.length - 1; start += perBand) {
      const share = Math.min(1, (start + perBand) / (points.length - 1));
      context.strokeStyle = personColour(entry.person.person, 0.95 * share ** 1.5 * strength);
      context.beginPath();
      points.slice(start, start + perBand + 1).forEach((point, index) => {
        const { x, y } = this.#pixel(point);
        if (index === 0) context.moveTo(x, y);
        else context.lineTo(x, y);
      });
      context.stroke();
    }
  }

  #drawPin(context, entry, now, style) {
    const { person } = entry;
    const strength = this.#strength(entry, now);
    if (strength === 0) return;
    const isMarked = this.selection.marks(person.person);
    const colour = personColour(person.person);
    const { x, y } = this.#pixel(glide(entry, now));
    context.save();
    context.globalAlpha = strength;
    this.#drawUncertainty(context, person, x, y, isMarked);
    this.#drawHeading(context, person, x, y, colour);
    drawMarker(context, x, y, {
      colour,
      label: String(person.person),
      size: isMarked ? 15 : 12,
      rim: isMarked ? style.getPropertyValue("--accent") : style.getPropertyValue("--pin-rim"),
      font: style.fontFamily,
      isSeen: person.cameras.length > 0,
    });
    context.restore();
  }

  #drawUncertainty(context, person, x, y, isMarked) {
    const metre = this.#pixel([person.x_m + 1, person.y_m]).x - this.#pixel([person.x_m, person.y_m]).x;
    context.fillStyle = personColour(person.person, isMarked ? 0.3 : 0.16);
    context.beginPath();
    context.arc(x, y, Math.min(Math.max(5, person.std_m * metre), 80), 0, 2 * Math.PI);
    context.fill();
  }

  #drawHeading(context, person, x, y, colour) {
    const speed = Math.hypot(person.vx_mps, person.vy_mps);
    if (speed < 0.25) return;
    const angle = Math.atan2(-person.vy_mps, person.vx_mps); // the map's y runs up, the screen's down
    const reach = 13 + Math.min(speed, 3) * 5;
    context.translate(x, y);
    context.rotate(angle);
    context.fillStyle = colour;
    context.beginPath();
    context.moveTo(reach, 0);
    context.lineTo(reach - 9, -5);
    context.lineTo(reach - 6.5, 0);
    context.lineTo(reach - 9, 5);
    context.closePath();
    context.fill();
    context.rotate(-angle);
    context.translate(-x, -y);
  }

  #drawGrid(context, width, height, colour) {
    const bounds = this.map.getBounds();
    const span = bounds.getEast() - bounds.getWest();
    const step = GRID_M.find((candidate) => span / candidate < 16) ?? 100;
    context.strokeStyle = colour;
    context.lineWidth = 1;
    context.beginPath();
    for (let x = Math.ceil(bounds.getWest() / step) * step; x <= bounds.getEast(); x += step) {
      const pixel = Math.round(this.#pixel([x, 0]).x) + 0.5;
      context.moveTo(pixel, 0);
      context.lineTo(pixel, height);
    }
    for (let y = Math.ceil(bounds.getSouth() / step) * step; y <= bounds.getNorth(); y += step) {
      const pixel = Math.round(this.#pixel([0, y]).y) + 0.5;
      context.moveTo(0, pixel);
      context.lineTo(width, pixel);
    }
    context.stroke();
  }

  #personAt(point) {
    let best = null;
    let bestDistance = HIT_PX;
    for (const entry of this.#people.values()) {
      if (!entry.isHere) continue;
      const foot = this.#pixel(entry.to);
      const head = Math.hypot(point.x - foot.x, point.y - (foot.y - 20));
      const distance = Math.min(head, Math.hypot(point.x - foot.x, point.y - foot.y));
      if (distance < bestDistance) [best, bestDistance] = [entry.person.person, distance];
    }
    return best;
  }

  #point(event) {
    const person = this.#personAt(event.containerPoint);
    this.map.getContainer().classList.toggle("is-pointing", person !== null);
    this.selection.hover(person);
  }

  /** Say what the map shows, for assistive technology and for tests. */
  describe(count) {
    this.map.getContainer().dataset.people = String(count);
    this.map.getContainer().setAttribute("aria-description", text("peopleNow", { count }));
  }
}

function glide({ from, to, movedAt }, now) {
  if (calm.matches) return to;
  const share = Math.min(1, (now - movedAt) / GLIDE_MS);
  return [from[0] + (to[0] - from[0]) * share, from[1] + (to[1] - from[1]) * share];
}

function drawMarker(context, x, y, { colour, label, size, rim, font, isSeen }) {
  const centre = y - size - 7;
  context.beginPath();
  context.arc(x, centre, size, Math.PI * 0.8, Math.PI * 2.2);
  context.lineTo(x, y);
  context.closePath();
  context.fillStyle = colour;
  context.fill();
  context.lineWidth = 2;
  context.strokeStyle = rim;
  if (!isSeen) context.setLineDash([3, 3]); // nobody sees them now: where they are is a guess
  context.stroke();
  context.setLineDash([]);
  context.fillStyle = ON_PERSON;
  context.font = `700 ${label.length > 2 ? size * 0.8 : size}px ${font}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(label, x, centre + 0.5);
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
