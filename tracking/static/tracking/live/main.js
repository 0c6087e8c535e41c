/** Puts the live view together: one connection, one selection, and what shows them. */

import { Alerts } from "./alerts.js";
import { PersonCard } from "./card.js";
import { Clock } from "./clock.js";
import { Connection } from "./connection.js";
import { Controls } from "./controls.js";
import { Counts } from "./counts.js";
import { Crops } from "./crops.js";
import { set } from "./elements.js";
import { EventFeed } from "./events.js";
import { Following } from "./follow.js";
import { TileGrid } from "./grid.js";
import { listen, toggleFullScreen } from "./keyboard.js";
import { FloorMap } from "./map.js";
import { Notice } from "./notice.js";
import { PeopleList } from "./people.js";
import { Presence } from "./presence.js";
import { Selection } from "./selection.js";
import { Strip } from "./strip.js";
import { text } from "./strings.js";
import { Subscriptions } from "./subscriptions.js";
import { Tile } from "./tiles.js";
import { toast } from "./toasts.js";
import { Vitals } from "./vitals.js";
import { Zones } from "./zones.js";

const HIDDEN_GRACE_MS = 3000;
const LIST_MS = 250; // lists are brought up to date so often: nobody reads faster
const $ = (id) => document.getElementById(id);
const main = $("main");

const clock = new Clock();
const selection = new Selection();
const presence = new Presence();
const zones = new Zones();
const crops = new Crops();
const connection = new Connection(main.dataset.socket, main.dataset.subprotocol);
const subscriptions = new Subscriptions(connection);
const floor = new FloorMap($("map"), selection);
const grid = new TileGrid({ box: $("tiles"), tabs: $("camera-tabs") });
const following = new Following({ selection, grid });
const notice = new Notice({ box: $("notice"), main, connection, pill: $("connection") });
const controls = new Controls($("session"), main.dataset.slug);
const vitals = new Vitals({ summary: $("vitals-summary"), box: $("vitals"), clock, connection, tiles: () => grid.tiles });
const strip = new Strip({ box: $("strip"), selection, crops });
const cameraName = (id) => grid.tiles.get(id)?.camera.name ?? id;
const people = new PeopleList({
  list: $("people"), empty: $("people-empty"), sort: $("people-sort"), filter: $("people-filter"), selection, presence, zones, crops,
});
const card = new PersonCard({ box: $("person"), selection, presence, zones, crops, cameraName });
const counts = new Counts({ box: $("counts"), point });
const feed = new EventFeed({
  list: $("events"), empty: $("events-empty"), filter: $("events-filter"), selection, cameraName, zoneName: (id) => zones.name(id),
  canAcknowledge: "canSteer" in main.dataset,
});
const alerts = new Alerts({
  box: $("alerts"), list: $("alerts-list"), count: $("alerts-count"), canAcknowledge: "canSteer" in main.dataset, slug: main.dataset.slug,
});
let shownAtMs = 0;
let isListDue = false;
const address = new URLSearchParams(location.search); // what the page is asked to show first

// --- what arrives ---

const takers = {
  hello(message) {
    clock.reset();
    zones.setPlace(message);
    grid.setTiles(message.cameras.map((camera) => makeTile(camera)));
    $("cameras-empty").hidden = message.cameras.length > 0;
    $("tiles").hidden = message.cameras.length === 0;
    counts.clear();
    floor.setPlace(message);
    presence.setPresent(message.present);
    feed.reset(message.events);
    alerts.load();
    notice.isCalibrated = message.cameras.some((camera) => camera.field_of_view_m.length > 0);
    notice.hasCameras = message.cameras.length > 0;
    subscriptions.forget();
    if (document.hidden) leave();
    else subscribe();
    showFirst();
    showCounts([]);
    if (selection.followed !== null) connection.send({ type: "follow", person: selection.followed });
  },
  status(message) {
    notice.heard();
    notice.session = message.session;
    controls.show(message.session);
    vitals.setStatus(message);
    for (const { id, state, message: words } of message.cameras) grid.tiles.get(id)?.setState(state, words);
    showCameras();
    notice.refresh();
  },
  positions(message) {
    notice.heard();
    shownAtMs = Date.parse(message.at);
    presence.setPositions(message.people, shownAtMs);
    zones.locate(message.people);
    following.keepUp(message.people);
    floor.setPositions(message.people, shownAtMs);
    card.setPositions(shownAtMs);
    if (isListDue || !presence.people.size) return;
    isListDue = true;
    setTimeout(showPeople, $("people").children.length ? LIST_MS : 0);
  },
  event(message) {
    feed.add(message);
    zones.note(message);
    following.note(message);
    if (message.person !== null && message.zone !== null) card.sawZone(message.person, zones.name(message.zone));
  },
  quality(message) {
    vitals.setQuality(message);
    for (const [camera, tier] of Object.entries(message.tiers)) {
      const tile = grid.tiles.get(camera);
      if (tile) tile.tier = tier;
    }
  },
  person(message) {
    card.setCard(message);
  },
  alert(message) {
    alerts.take(message);
  },
  acknowledged({ event, by }) {
    feed.acknowledge(event, by);
  },
  steered({ by, action }) {
    toast(text(`steered.${action}`, { by }));
  },
  error(message) {
    console.warn(`live view: ${message.code}: ${message.message}`);
  },
};

connection.addEventListener("message", ({ detail }) => takers[detail.type]?.(detail));
connection.addEventListener("clock", ({ detail }) => clock.take(detail));
connection.addEventListener("frame", ({ detail }) => grid.tiles.get(detail.header.camera)?.take(detail));

function makeTile(camera) {
  const tile = new Tile(camera, selection, clock);
  tile.addEventListener("expand", () => grid.enlarge(grid.large === null ? camera.id : null));
  tile.addEventListener("pointed", ({ detail }) => floor.pointAtCamera(camera.id, detail));
  tile.addEventListener("frame", ({ detail: { bitmap, header } }) => crops.take(bitmap, header));
  tile.addEventListener("shown", ({ detail: header }) => {
    connection.ack(camera.id, header.seq);
    if (!header.still) vitals.shown(header);
    if (grid.large === camera.id) strip.show(header);
  });
  return tile;
}

/** Show what the address asks for: `?camera=c1` large, `?person=12` followed. */
function showFirst() {
  if (address.has("camera")) grid.enlarge(address.get("camera"));
  if (address.has("person")) selection.follow(Number(address.get("person")) || null);
  address.delete("camera");
  address.delete("person");
}

/** Let the address say what is shown, so that it can be passed on and survives a reload. */
function writeAddress() {
  const now = new URL(location.href);
  for (const [name, value] of [["camera", grid.large], ["person", selection.followed]]) {
    if (value === null) now.searchParams.delete(name);
    else now.searchParams.set(name, value);
  }
  history.replaceState(null, "", now);
}

// --- what is asked for ---

function subscribe() {
  const isAway = document.hidden;
  const wanted = new Map();
  for (const [id, tile] of grid.tiles) {
    if (!isAway && tile.isVisible && !tile.element.hidden) wanted.set(id, tile.widthPx);
  }
  subscriptions.want(wanted, $("quality").value);
}

let hiddenTimer;
document.addEventListener("visibilitychange", () => {
  clearTimeout(hiddenTimer);
  // a short look elsewhere costs nothing; a tab left behind gets no pictures and no positions
  if (document.hidden) hiddenTimer = setTimeout(leave, HIDDEN_GRACE_MS);
  else come();
});

function leave() {
  subscribe();
  connection.send({ type: "hidden", hidden: true });
}

function come() {
  connection.send({ type: "hidden", hidden: false });
  subscribe();
}
$("quality").addEventListener("change", subscribe);
grid.addEventListener("change", subscribe);
grid.addEventListener("large", () => {
  strip.show(grid.tiles.get(grid.large)?.picture.header ?? null);
  writeAddress();
});
selection.addEventListener("follow", () => {
  connection.send({ type: "follow", person: selection.followed });
  writeAddress();
  card.setPositions(shownAtMs);
});
floor.addEventListener("camera", ({ detail }) => grid.enlarge(grid.large === detail ? null : detail));
floor.addEventListener("pointed", ({ detail: { id, isPointed } }) => point("camera", id, isPointed));
$("follow-cameras").addEventListener("click", ({ currentTarget: button }) => {
  following.isSwitching = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(following.isSwitching));
});

/** Let a camera or a zone stand out wherever it is shown. */
function point(kind, id, isPointed) {
  if (kind === "zone") floor.pointAtZone(id, isPointed);
  else {
    floor.pointAtCamera(id, isPointed);
    grid.tiles.get(id)?.setPointed(isPointed);
  }
}

for (const button of document.querySelectorAll("[data-layer]")) {
  button.addEventListener("click", () => {
    const isOn = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(isOn));
    floor.show(button.dataset.layer, isOn);
  });
}
for (const button of document.querySelectorAll("[data-full-screen]")) {
  button.addEventListener("click", () => toggleFullScreen($(button.dataset.fullScreen)));
}
$("fit").addEventListener("click", () => floor.fit());
$("keys-open").addEventListener("click", () => $("keys").showModal());

function followNext(by) {
  const numbers = [...presence.people.keys()].sort((a, b) => a - b);
  if (!numbers.length) return;
  const at = selection.followed === null ? (by > 0 ? -1 : 0) : numbers.indexOf(selection.followed);
  selection.follow(numbers[(at + by + numbers.length) % numbers.length]);
}

const digits = Object.fromEntries(
  [...Array(9).keys()].map((index) => [String(index + 1), () => grid.enlarge([...grid.tiles.keys()][index] ?? grid.large)]),
);
listen(
  {
    ...digits,
    0: () => grid.enlarge(null),
    ArrowRight: () => grid.step(1),
    ArrowLeft: () => grid.step(-1),
    n: () => followNext(1),
    p: () => followNext(-1),
    f: () => toggleFullScreen($("cameras")),
    m: () => toggleFullScreen($("floor")),
    z: () => floor.fit(),
    "?": () => $("keys").showModal(),
    Escape: () => (selection.followed === null ? grid.enlarge(null) : selection.follow(null)),
  },
  $("keys-on"),
);

// --- what is said ---

function showPeople() {
  isListDue = false;
  const present = [...presence.people.values()];
  people.render(shownAtMs);
  card.refresh();
  floor.describe(present.length);
  set($("people-count"), String(present.length));
  showCounts(present);
}

function showCounts(present) {
  counts.show([...grid.tiles.values()].map(({ camera }) => camera), zones, present);
  floor.showCounts(zones);
}

function showCameras() {
  const tiles = [...grid.tiles.values()];
  const up = tiles.filter((tile) => tile.state === "online").length;
  set($("cameras-up"), String(up));
  $("cameras-up-box").hidden = tiles.length === 0;
  set($("cameras-down"), String(tiles.length - up));
  $("cameras-down-box").hidden = up === tiles.length;
  for (const tile of tiles) floor.setCameraTone(tile.camera.id, tile.dot.dataset.tone);
}

setInterval(() => {
  for (const tile of grid.tiles.values()) tile.refresh();
  vitals.refresh();
  controls.tick();
  notice.refresh();
  crops.prune();
  if (!presence.people.size) showPeople();
}, 1000);
connection.open();
