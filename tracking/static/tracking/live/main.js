/** Puts the live view together: one connection, one selection, and what shows them. */

import { Clock, Recent } from "./clock.js";
import { Connection } from "./connection.js";
import { EventFeed } from "./events.js";
import { FloorMap } from "./map.js";
import { PeopleList, PersonCard, set } from "./people.js";
import { Selection } from "./selection.js";
import { text } from "./strings.js";
import { Subscriptions } from "./subscriptions.js";
import { Tile } from "./tiles.js";
import { TileGrid } from "./grid.js";

const SILENT_S = 6;
const HIDDEN_GRACE_MS = 3000;
const $ = (id) => document.getElementById(id);
const main = $("main");

const clock = new Clock();
const selection = new Selection();
const connection = new Connection(main.dataset.socket, main.dataset.subprotocol);
const subscriptions = new Subscriptions(connection);
const floor = new FloorMap($("map"), selection);
const grid = new TileGrid({ box: $("tiles"), tabs: $("camera-tabs"), onChange: () => subscribe() });
const cameraName = (id) => grid.tiles.get(id)?.camera.name ?? id;
const zones = new Map();
const people = new PeopleList({ list: $("people"), empty: $("people-empty"), selection });
const card = new PersonCard({
  chipElement: $("person-chip"),
  facts: $("person-facts"),
  empty: $("person-empty"),
  stop: $("unfollow"),
  selection,
  people,
  cameraName,
});
const feed = new EventFeed({
  list: $("events"),
  empty: $("events-empty"),
  selection,
  cameraName,
  zoneName: (id) => zones.get(id) ?? id,
});
const latency = new Recent(3000);
const rate = new Recent(2000);
let session;
let heardWorkerAt = 0;
let isCalibrated = true;

// --- what arrives ---

const takers = {
  hello(message) {
    clock.reset();
    clock.observe(Date.parse(message.at));
    zones.clear();
    for (const zone of message.zones) zones.set(zone.id, zone.name);
    grid.setTiles(message.cameras.map((camera) => makeTile(camera)));
    $("cameras-empty").hidden = message.cameras.length > 0;
    $("tiles").hidden = message.cameras.length === 0;
    $("bars").replaceChildren();
    floor.setPlace(message);
    people.setPresent(message.present);
    feed.reset(message.events);
    isCalibrated = message.cameras.some((camera) => camera.field_of_view_m.length > 0);
    subscriptions.forget();
    subscribe();
    if (selection.followed !== null) connection.send({ type: "follow", person: selection.followed });
  },
  status(message) {
    clock.observe(Date.parse(message.at));
    heardWorkerAt = performance.now();
    session = message.session;
    for (const { id, state, message: words } of message.cameras) grid.tiles.get(id)?.setState(state, words);
    showCameras();
    showNotice();
  },
  positions(message) {
    heardWorkerAt = performance.now();
    const atMs = Date.parse(message.at);
    floor.setPositions(message.people, atMs);
    floor.describe(message.people.length);
    people.setPositions(message.people, atMs);
    set($("people-count"), String(message.people.length));
    showBars(message.people);
    card.refresh();
  },
  event(message) {
    feed.add(message);
    if (message.person !== null && message.zone !== null) {
      card.sawZone(message.person, zones.get(message.zone) ?? message.zone);
    }
  },
  quality(message) {
    clock.observe(Date.parse(message.at));
    for (const [camera, tier] of Object.entries(message.tiers)) {
      const tile = grid.tiles.get(camera);
      if (tile) tile.tier = tier;
    }
  },
  person(message) {
    card.setCard(message);
  },
  error(message) {
    console.warn(`live view: ${message.code}: ${message.message}`);
  },
};

connection.addEventListener("message", ({ detail }) => takers[detail.type]?.(detail));
connection.addEventListener("frame", ({ detail }) => grid.tiles.get(detail.header.camera)?.take(detail));
connection.addEventListener("state", showConnection);

function makeTile(camera) {
  const tile = new Tile(camera, selection, clock);
  tile.addEventListener("pointed", ({ detail }) => floor.pointAtCamera(camera.id, detail));
  tile.addEventListener("shown", ({ detail: { seq, captured_at: capturedAt } }) => {
    connection.send({ type: "ack", camera: camera.id, seq });
    latency.add(clock.now() - Date.parse(capturedAt));
    rate.add(1);
  });
  return tile;
}

// --- what is asked for ---

function subscribe() {
  const isAway = document.hidden;
  const wanted = new Map();
  for (const [id, tile] of grid.tiles) {
    if (!isAway && tile.isVisible) wanted.set(id, tile.widthPx);
  }
  subscriptions.want(wanted, $("quality").value);
}

let hiddenTimer;
document.addEventListener("visibilitychange", () => {
  clearTimeout(hiddenTimer);
  // a short look elsewhere costs nothing; a tab left behind gets no pictures
  if (document.hidden) hiddenTimer = setTimeout(subscribe, HIDDEN_GRACE_MS);
  else subscribe();
});
$("quality").addEventListener("change", subscribe);
selection.addEventListener("follow", () => connection.send({ type: "follow", person: selection.followed }));
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  if (selection.followed !== null) selection.follow(null);
  else grid.enlarge(null);
});

for (const button of document.querySelectorAll("[data-layer]")) {
  button.addEventListener("click", () => {
    const isOn = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(isOn));
    floor.show(button.dataset.layer, isOn);
  });
}
$("fit").addEventListener("click", () => floor.fit());
$("notice-retry").addEventListener("click", () => connection.retryNow());
$("notice-login").href = main.dataset.login;

// --- what is said ---

function showConnection() {
  const { state, retryInS } = connection;
  const words = {
    connecting: text("connecting"),
    live: text("live"),
    reconnecting: retryInS > 0 ? text("reconnectingIn", { seconds: retryInS }) : text("reconnecting"),
    "signed-out": text("signedOut"),
    forbidden: text("noAccess"),
    gone: text("noAccess"),
  };
  $("connection").dataset.state = state;
  set($("connection-text"), words[state]);
  main.classList.toggle("is-stale", state !== "live" && state !== "connecting");
  if (state === "live") heardWorkerAt = performance.now();
  showNotice();
}

function showNotice() {
  const { state } = connection;
  const lost = {
    reconnecting: connection.reason === "service" ? text("noticeService") : text("noticeNetwork"),
    "signed-out": text("noticeSignedOut"),
    forbidden: text("noticeForbidden"),
    gone: text("noticeGone"),
  }[state];
  const words = lost ?? (state === "live" ? sessionWords() : "");
  $("notice").hidden = !words;
  $("notice").dataset.tone = lost ? "bad" : "warn";
  set($("notice-text"), words);
  $("notice-retry").hidden = state !== "reconnecting";
  $("notice-login").hidden = state !== "signed-out";
}

function sessionWords() {
  if (session === undefined || grid.tiles.size === 0) return "";
  if (session === null) return text("noticeNoSession");
  const words = {
    waiting: text("noticeWaiting"),
    starting: text("noticeStarting"),
    paused: text("noticePaused"),
    failed: text("noticeFailed"),
  }[session.state];
  if (words) return session.message ? `${words} ${session.message}` : words;
  const silentS = (performance.now() - heardWorkerAt) / 1000;
  if (silentS > SILENT_S) return text("noticeSilent", { seconds: 5 * Math.floor(silentS / 5) });
  return isCalibrated ? "" : text("noticeNotCalibrated");
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

function showBars(present) {
  const counts = new Map([...grid.tiles.keys()].map((id) => [id, 0]));
  for (const { cameras } of present) for (const id of cameras) counts.set(id, (counts.get(id) ?? 0) + 1);
  const most = Math.max(4, ...counts.values());
  for (const [id, count] of counts) {
    let bar = $("bars").querySelector(`[data-camera="${CSS.escape(id)}"]`);
    if (!bar) {
      bar = document.createElement("div");
      bar.className = "bar";
      bar.dataset.camera = id;
      bar.append(...["bar-name", "bar-fill", "bar-count"].map((name) => {
        const part = document.createElement("span");
        part.className = name;
        return part;
      }));
      $("bars").append(bar);
    }
    const [name, fill, number] = bar.children;
    set(name, id);
    name.title = cameraName(id);
    fill.style.setProperty("--share", String(count / most));
    set(number, String(count));
  }
}

function everySecond() {
  for (const tile of grid.tiles.values()) tile.refresh();
  const median = latency.median();
  set($("latency"), median === null ? "–" : text("ms", { ms: Math.round(median) }));
  set($("rate"), median === null ? "–" : String(Math.round(rate.rate())));
  card.refresh();
  showNotice();
}

setInterval(everySecond, 1000);
connection.open();
