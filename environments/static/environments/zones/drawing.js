/**
 * Zones on the plan: drawn and edited with Leaflet.draw.
 *
 * Places are metres, [x, y]. Events: `drawn` (detail: kind and points), `edited` (detail: points), `pick` (detail: key).
 */

L.Polyline._flat = L.LineUtil.isFlat; // as Leaflet.draw calls it, which Leaflet warns of at every step

const at = ([x, y]) => [y, x]; // a floor point as Leaflet takes it
const placeOf = ({ lat, lng }) => [Number(lng.toFixed(3)), Number(lat.toFixed(3))];

export class Drawing extends EventTarget {
  #layers = new Map(); // key -> shape and what belongs to it
  #selected = null;
  #handler = null;

  constructor(element, floor, planUrl) {
    super();
    this.map = L.map(element, { crs: L.CRS.Simple, attributionControl: false, zoomSnap: 0.25, zoomDelta: 0.5, minZoom: -4, maxZoom: 9, wheelPxPerZoomLevel: 140, zoomAnimation: false });
    const { left, bottom, right, top } = floor.bounds;
    this.bounds = L.latLngBounds(at([left, bottom]), at([right, top]));
    if (planUrl) L.imageOverlay(planUrl, this.bounds, { alt: "", className: "map-plan" }).addTo(this.map);
    else L.rectangle(this.bounds, { className: "map-blank", interactive: false }).addTo(this.map);
    L.control.scale({ imperial: false }).addTo(this.map);
    this.views = L.layerGroup().addTo(this.map);
    this.map.fitBounds(this.bounds, { animate: false });
    this.map.on(L.Draw.Event.CREATED, ({ layer, layerType }) => {
      const points = (layerType === "polygon" ? layer.getLatLngs()[0] : layer.getLatLngs()).map(placeOf);
      this.#handler = null;
      this.#emit("drawn", { kind: layerType === "polygon" ? "polygon" : "line", points });
    });
    this.map.on(L.Draw.Event.DRAWSTOP, () => this.#emit("stopped"));
    this.map.on(L.Draw.Event.EDITVERTEX, () => this.#edited());
    new ResizeObserver(() => this.map.invalidateSize({ pan: false })).observe(element);
  }

  /** Show what cameras see, behind the zones. */
  setViews(cameras) {
    this.views.clearLayers();
    for (const camera of cameras) {
      if (camera.field_of_view_m.length < 3) continue;
      const view = L.polygon(camera.field_of_view_m.map(at), { className: "map-view", interactive: false });
      view.addTo(this.views).bindTooltip(camera.name, { className: "map-view-name" });
    }
    if (!this.viewsShown) this.views.remove();
  }

  showViews(isShown) {
    this.viewsShown = isShown;
    if (isShown) this.views.addTo(this.map);
    else this.views.remove();
  }

  /** Begin to draw by clicks. @param {"polygon" | "line"} kind */
  draw(kind) {
    this.stop();
    const shapeOptions = { className: `zone zone-${kind}`, weight: 3 };
    this.#handler =
      kind === "polygon"
        ? new L.Draw.Polygon(this.map, { shapeOptions, allowIntersection: false, showLength: true, metric: true, feet: false })
        : new L.Draw.Polyline(this.map, { shapeOptions, maxPoints: 2, metric: true, feet: false });
    this.#handler.enable();
  }

  get isDrawing() {
    return this.#handler !== null;
  }

  stop() {
    const handler = this.#handler;
    this.#handler = null;
    handler?.disable();
  }

  /** A square, or a line, in the middle of what is shown: for keys, which draw nothing. */
  middling(kind) {
    const [x, y] = placeOf(this.map.getCenter());
    return kind === "line" ? [[x - 1, y], [x + 1, y]] : [[x - 1, y - 1], [x + 1, y - 1], [x + 1, y + 1], [x - 1, y + 1]];
  }

  /** Show a zone as it is now. */
  put({ key, kind, name, points_m: points, capacity }) {
    this.take(key);
    const options = { className: `zone zone-${kind}`, weight: 3 };
    const shape = kind === "polygon" ? L.polygon(points.map(at), options) : L.polyline(points.map(at), options);
    shape.on("click", () => this.isDrawing || this.#emit("pick", key));
    shape.addTo(this.map);
    const label = document.createElement("span"); // a text, never markup
    label.textContent = capacity ? `${name} (${capacity})` : name;
    shape.bindTooltip(label, { permanent: true, direction: kind === "line" ? "right" : "center", offset: kind === "line" ? [14, 0] : [0, 0], className: "zone-name", interactive: false });
    const layer = { shape, kind, arrow: null };
    this.#layers.set(key, layer);
    this.#drawArrow(layer, points);
    if (this.#selected === key) this.#edit(layer);
  }

  take(key) {
    const layer = this.#layers.get(key);
    if (!layer) return;
    layer.shape.editing?.disable();
    layer.shape.remove();
    layer.arrow?.remove();
    this.#layers.delete(key);
  }

  /** Let a zone be edited, or none. */
  select(key) {
    const before = this.#layers.get(this.#selected);
    before?.shape.editing.disable();
    before?.shape.getElement()?.classList.remove("is-selected");
    this.#selected = key;
    const layer = this.#layers.get(key);
    if (layer) this.#edit(layer);
  }

  fit() {
    this.map.fitBounds(this.bounds, { animate: false });
  }

  #edit(layer) {
    layer.shape.getElement()?.classList.add("is-selected");
    layer.shape.editing.enable();
  }

  #edited() {
    const layer = this.#layers.get(this.#selected);
    if (!layer) return;
    const corners = layer.kind === "polygon" ? layer.shape.getLatLngs()[0] : layer.shape.getLatLngs();
    const points = corners.map(placeOf);
    this.#drawArrow(layer, points);
    this.#emit("edited", points);
  }

  #drawArrow(layer, points) {
    layer.arrow?.remove();
    layer.arrow = null;
    if (layer.kind !== "line") return;
    layer.arrow = L.polyline(forwards(points).map(at), { className: "zone zone-line zone-arrow", weight: 3, interactive: false }).addTo(this.map);
  }

  #emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

/** An arrow across the middle of a line, from its left to its right: who goes this way goes in. */
function forwards([[x1, y1], [x2, y2]]) {
  const length = Math.hypot(x2 - x1, y2 - y1) || 1;
  const right = [(y2 - y1) / length, -(x2 - x1) / length];
  const along = [(x2 - x1) / length, (y2 - y1) / length];
  const size = Math.max(0.6, Math.min(length * 0.4, 1.5));
  const point = (r, a) => [0, 1].map((axis) => [(x1 + x2) / 2, (y1 + y2) / 2][axis] + size * (right[axis] * r + along[axis] * a));
  return [point(-0.4, 0), point(1, 0), point(0.65, 0.25), point(1, 0), point(0.65, -0.25)];
}
