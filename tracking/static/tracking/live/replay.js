/** The map of a past date and time: a clock that can be set, and what history says of its instant. */

import { ask } from "./api.js";
import { Crops } from "./crops.js";
import { set } from "./elements.js";
import { EventFeed } from "./events.js";
import { History } from "./history.js";
import { toggleFullScreen } from "./keyboard.js";
import { FloorMap } from "./map.js";
import { PeopleList } from "./people.js";
import { Presence } from "./presence.js";
import { Selection } from "./selection.js";
import { text } from "./strings.js";
import { clockTime, fromInput, toInput } from "./times.js";
import { Zones } from "./zones.js";

const WINDOW_MS = 600_000; // what the slider spans
const STEP_MS = 100;
const WARM_UP_MS = 20_000; // before the instant, so that trails are there at once
const ROWS = 200;
const UNSETTLED_MS = 6_000; // before now, of which not all is stored yet
const $ = (id) => document.getElementById(id);
const main = $("main");
const { slug } = main.dataset;

const selection = new Selection();
const presence = new Presence();
const zones = new Zones();
const history = new History(slug);
const floor = new FloorMap($("map"), selection);
const people = new PeopleList({
  list: $("people"), empty: $("people-empty"), sort: $("people-sort"), filter: $("people-filter"),
  selection, presence, zones, crops: new Crops(),
});
const names = new Map(); // of cameras
const feed = new EventFeed({
  list: $("events"), empty: $("events-empty"), filter: $("events-filter"), selection,
  cameraName: (id) => names.get(id) ?? id, zoneName: (id) => zones.name(id),
});

let atMs = 0;
let windowMs = 0; // where the slider begins
let isPlaying = false;
let stays = []; // { person, since, until }
let generation = 0; // counts jumps: what was asked for before one is of no use after it
let lastListMs = 0;

/** Go to an instant, and show what happened around it. */
async function go(ms) {
  const mine = (generation += 1);
  atMs = ms;
  if (ms < windowMs || ms > windowMs + WINDOW_MS) {
    windowMs = ms - WINDOW_MS / 10;
    await loadWindow(mine);
  }
  if (await load(ms - WARM_UP_MS, ms, mine)) warmUp(ms);
}

async function load(sinceMs, untilMs, mine) {
  try {
    await history.load(sinceMs, untilMs);
  } catch (error) {
    complain(error);
    return false;
  }
  $("notice").hidden = true;
  return mine === generation;
}

/** Let everybody walk the last seconds at once: trails, and since when they are here. */
function warmUp(ms) {
  floor.clearPeople();
  presence.clear();
  presence.setPresent(stays.filter(({ since, until }) => Date.parse(since) <= ms && Date.parse(until) >= ms - WARM_UP_MS));
  for (let earlier = ms - WARM_UP_MS; earlier < ms; earlier += 500) step(earlier, false);
  step(ms, true);
}

function step(ms, isShown) {
  const here = history.at(ms);
  presence.setPositions(here, ms);
  floor.setPositions(here, ms);
  if (!isShown) return;
  zones.locate(here);
  showTime();
  if (performance.now() - lastListMs < 250 && isPlaying) return;
  lastListMs = performance.now();
  people.render(ms);
  floor.describe(here.length);
  floor.showCounts(zones);
  set($("people-count"), String(here.length));
}

/** Ask what happened while the slider's time, and since when those were there who were. */
async function loadWindow(mine) {
  const since = new Date(windowMs).toISOString();
  const until = new Date(windowMs + WINDOW_MS).toISOString();
  const query = new URLSearchParams({ environment: slug, since, until, page_size: String(ROWS) });
  try {
    const [events, tracks] = await Promise.all([ask("GET", `/api/v1/events/?${query}`), ask("GET", `/api/v1/tracks/?${query}`)]);
    if (mine !== generation) return;
    feed.reset(events.results);
    stays = tracks.results.map(({ person, started_at: from, ended_at: to }) => ({ person, since: from, until: to }));
  } catch (error) {
    complain(error);
  }
}

function showTime() {
  set($("time"), clockTime(atMs));
  $("slider").value = String((atMs - windowMs) / 1000);
  $("slider").setAttribute("aria-valuetext", clockTime(atMs));
  if (document.activeElement !== $("when")) $("when").value = toInput(atMs);
  for (const row of $("events").children) row.classList.toggle("is-ahead", Date.parse(row.querySelector("time").dateTime) > atMs);
  writeAddress();
}

let writtenS = 0;
/** Let the address name the instant, so that it can be passed on; seldom while it plays. */
function writeAddress() {
  const atS = Math.floor(atMs / 1000);
  if (isPlaying && Math.abs(atS - writtenS) < 5) return;
  writtenS = atS;
  const now = new URL(location.href);
  now.searchParams.delete("when");
  now.searchParams.set("at", new Date(atS * 1000).toISOString());
  if (selection.followed === null) now.searchParams.delete("person");
  else now.searchParams.set("person", selection.followed);
  window.history.replaceState(null, "", now);
}

function complain(error) {
  $("notice").hidden = false;
  $("notice").dataset.tone = "bad";
  set($("notice-text"), error.message);
}

// --- the clock ---

let lastTickMs = performance.now();
let isLoading = false;
setInterval(async () => {
  const now = performance.now();
  const passedMs = (now - lastTickMs) * Number($("speed").value);
  lastTickMs = now;
  if (!isPlaying || isLoading || document.hidden) return;
  const next = atMs + passedMs;
  if (next >= Date.now() - UNSETTLED_MS) {
    play(false);
    return;
  }
  if (!history.covers(next)) {
    isLoading = true;
    const isThere = await load(next, next, generation);
    isLoading = false;
    lastTickMs = performance.now();
    if (!isThere) return;
  }
  atMs = next;
  if (atMs > windowMs + WINDOW_MS) {
    windowMs = atMs - WINDOW_MS / 10;
    loadWindow(generation);
  }
  step(atMs, true);
}, STEP_MS);

function play(isOn) {
  isPlaying = isOn;
  lastTickMs = performance.now();
  const label = text(isOn ? "pause" : "play");
  $("play").setAttribute("aria-pressed", String(isOn));
  $("play").setAttribute("aria-label", label);
  $("play").title = label;
}

$("play").addEventListener("click", () => play(!isPlaying));
$("slider").addEventListener("input", ({ target }) => go(windowMs + Number(target.value) * 1000));
for (const button of document.querySelectorAll("[data-jump]")) {
  button.addEventListener("click", () => go(atMs + Number(button.dataset.jump) * 1000));
}
$("player").addEventListener("submit", (event) => {
  event.preventDefault();
  const ms = fromInput($("when").value);
  $("when").blur();
  if (!Number.isNaN(ms)) go(Math.min(ms, Date.now()));
});
$("events").addEventListener("click", ({ target }) => {
  const row = target.closest(".event");
  if (row && !target.closest("button")) go(Date.parse(row.querySelector("time").dateTime));
});
selection.addEventListener("follow", writeAddress);
for (const button of document.querySelectorAll("[data-layer]")) {
  button.addEventListener("click", () => {
    const isOn = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(isOn));
    floor.show(button.dataset.layer, isOn);
  });
}
document.querySelector("[data-full-screen]").addEventListener("click", () => toggleFullScreen($("floor")));
$("fit").addEventListener("click", () => floor.fit());
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") selection.follow(null);
});

/** Begin where the address says, or a minute ago. */
async function begin() {
  const address = new URLSearchParams(location.search);
  const asked = address.has("when") ? fromInput(address.get("when")) : Date.parse(address.get("at") ?? "");
  try {
    const layout = await ask("GET", main.dataset.layout);
    for (const { id, name } of layout.cameras) names.set(id, name);
    zones.setPlace(layout);
    floor.setPlace(layout);
  } catch (error) {
    complain(error);
    return;
  }
  if (address.has("person")) selection.follow(Number(address.get("person")) || null);
  await go(Number.isNaN(asked) ? Date.now() - 60_000 : Math.min(asked, Date.now()));
  play(true);
}

begin();
