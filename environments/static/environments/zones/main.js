/** The page on which areas and directed lines are drawn on the plan. */

import { Floor } from "../shared/floor.js";
import { ask } from "../shared/rest.js";
import { text } from "../shared/words.js";
import { Corners } from "./corners.js";
import { seenBy } from "./coverage.js";
import { Drawing } from "./drawing.js";

const setup = JSON.parse(document.getElementById("setup").textContent);
const byId = (id) => document.getElementById(id);
const drawing = new Drawing(byId("map"), new Floor(setup.plan), setup.plan?.url);
const corners = new Corners(byId("corners"), (points) => change({ points_m: points }));

let zones = []; // as they are stored
let cameras = [];
let draft = null; // the zone being worked on; without an id it is new
let keptText = "";

// --- the list ---

function showList() {
  byId("zones").replaceChildren(...zones.map(row));
  byId("zones-empty").hidden = zones.length > 0 || draft !== null;
}

function row(zone) {
  const element = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "zone-row";
  button.dataset.kind = zone.kind;
  button.setAttribute("aria-pressed", String(zone.id === draft?.id));
  const name = document.createElement("strong");
  name.textContent = zone.name;
  const about = document.createElement("span");
  const { unseen } = seenBy(zone.kind, zone.points_m, cameras);
  const parts = [text(`kind.${zone.kind}`)];
  if (zone.capacity !== null) parts.push(text("capacity", { count: zone.capacity }));
  if (unseen > 0.02) parts.push(text("unseen", { percent: Math.round(unseen * 100) }));
  about.textContent = parts.join(" · ");
  button.append(name, about);
  button.addEventListener("click", () => pick(zone));
  element.append(button);
  return element;
}

// --- the one being worked on ---

function pick(zone) {
  if (draft && isChanged() && !confirm(text("confirmLeave"))) return;
  drop();
  draft = structuredClone(zone);
  keptText = JSON.stringify(draft);
  drawing.put(draft);
  drawing.select(draft.key);
  showDraft();
}

/** Let go of what is being worked on, and show it as it is stored. */
function drop() {
  drawing.stop();
  drawing.select(null);
  if (!draft) return;
  const stored = zones.find((zone) => zone.id === draft.id);
  drawing.take(draft.key);
  if (stored) drawing.put(stored);
  draft = null;
  showDraft();
}

function isChanged() {
  return JSON.stringify(draft) !== keptText;
}

function begin(kind, points) {
  drop();
  const numbers = new Set(zones.map((zone) => zone.key));
  const stem = kind === "polygon" ? "area" : "line";
  let number = 1;
  while (numbers.has(`${stem}-${number}`)) number += 1;
  draft = { key: `${stem}-${number}`, name: text(`new.${kind}`, { number }), kind, points_m: points, capacity: null };
  keptText = "";
  drawing.put(draft);
  drawing.select(draft.key);
  showDraft();
  byId("name").select();
}

function change(changes) {
  Object.assign(draft, changes);
  drawing.put(draft);
  showDraft();
}

function showDraft() {
  showList();
  byId("editor").hidden = draft === null;
  byId("hint").textContent = text(drawing.isDrawing ? `hint.${byId("map").dataset.drawing}` : draft ? "hintEdit" : "hintStart");
  if (!draft) return;
  const isLine = draft.kind === "line";
  byId("editor-title").textContent = draft.id ? draft.name : text(`new.${draft.kind}`, { number: "" }).trim();
  if (byId("name").value !== draft.name) byId("name").value = draft.name;
  byId("capacity-field").hidden = isLine;
  byId("direction").hidden = !isLine;
  byId("capacity").value = draft.capacity ?? "";
  corners.show(draft.points_m, isLine);
  byId("save").disabled = !isChanged();
  byId("remove").hidden = !draft.id;
  byId("direction-words").textContent = isLine ? directionWords(draft.points_m) : "";
  showSeen();
}

function directionWords([[x1, y1], [x2, y2]]) {
  // the right of the line, seen along it, is where the arrow points
  const angle = (Math.atan2(-(x2 - x1), y2 - y1) * 180) / Math.PI;
  const names = ["right", "upRight", "up", "upLeft", "left", "downLeft", "down", "downRight"];
  return text("inwards", { way: text(`way.${names[(Math.round(angle / 45) + 8) % 8]}`) });
}

function showSeen() {
  const { cameras: seen, unseen } = seenBy(draft.kind, draft.points_m, cameras);
  byId("seen").replaceChildren(
    ...seen.map(({ name, share }) => item(name, text("percent", { percent: Math.round(share * 100) }), share)),
    ...(unseen > 0.02 ? [item(text("nobody"), text("percent", { percent: Math.round(unseen * 100) }), unseen, "bad")] : []),
  );
}

function item(name, value, share, tone = "good") {
  const element = document.createElement("li");
  element.dataset.tone = tone;
  const label = document.createElement("span");
  label.textContent = name;
  const meter = document.createElement("i");
  meter.style.setProperty("--share", String(share));
  const number = document.createElement("b");
  number.textContent = value;
  element.append(label, meter, number);
  return element;
}

// --- saving ---

async function save(event) {
  event.preventDefault();
  const { id, ...zone } = draft;
  try {
    const body = { ...zone, environment: setup.environment };
    const stored = id ? await ask("PATCH", `${setup.urls.zones}${id}/`, { body }) : await ask("POST", setup.urls.zones, { body });
    await refresh();
    draft = null;
    pick(zones.find((one) => one.id === stored.id));
    say(text("saved"), "good");
  } catch (error) {
    say(error.message, "bad");
  }
}

async function remove() {
  if (!confirm(text("confirmRemove", { name: draft.name }))) return;
  try {
    await ask("DELETE", `${setup.urls.zones}${draft.id}/`);
    drawing.take(draft.key);
    zones = zones.filter((zone) => zone.id !== draft.id);
    draft = null;
    drawing.select(null);
    showDraft();
    say(text("removed"), "good");
  } catch (error) {
    say(error.message, "bad");
  }
}

function say(message, tone) {
  byId("said").dataset.tone = tone;
  byId("said").textContent = message;
  byId("said").hidden = false;
}

async function refresh() {
  const before = zones;
  const found = [];
  for (let url = `${setup.urls.zones}?environment=${setup.environment}`; url; ) {
    const page = await ask("GET", url);
    found.push(...page.results);
    url = page.next;
  }
  for (const zone of before) drawing.take(zone.key);
  zones = found;
  for (const zone of zones) drawing.put(zone);
}

// --- controls ---

for (const button of document.querySelectorAll("[data-draw]")) {
  button.addEventListener("click", (event) => {
    const kind = button.dataset.draw;
    if (draft && isChanged() && !confirm(text("confirmLeave"))) return;
    if (event.detail === 0) {
      begin(kind, drawing.middling(kind)); // pressed by a key: a shape to be moved by numbers
      return;
    }
    drop();
    byId("map").dataset.drawing = kind;
    drawing.draw(kind);
    showDraft();
  });
}
drawing.addEventListener("drawn", ({ detail: { kind, points } }) => begin(kind, points));
drawing.addEventListener("stopped", () => showDraft());
drawing.addEventListener("edited", ({ detail }) => {
  draft.points_m = detail;
  showDraft();
});
drawing.addEventListener("pick", ({ detail: key }) => {
  const zone = zones.find((one) => one.key === key);
  if (zone && zone.id !== draft?.id) pick(zone);
});
byId("name").addEventListener("input", (event) => change({ name: event.target.value }));
byId("capacity").addEventListener("input", (event) => change({ capacity: event.target.value === "" ? null : Number(event.target.value) }));
byId("swap").addEventListener("click", () => change({ points_m: [...draft.points_m].reverse() }));
byId("editor").addEventListener("submit", save);
byId("discard").addEventListener("click", drop);
byId("remove").addEventListener("click", remove);
byId("show-views").addEventListener("change", (event) => drawing.showViews(event.target.checked));
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && drawing.isDrawing) {
    drawing.stop();
    showDraft();
  }
});
addEventListener("beforeunload", (event) => {
  if (draft && isChanged()) event.preventDefault();
});

async function start() {
  const layout = await ask("GET", setup.urls.layout);
  cameras = layout.cameras;
  drawing.showViews(byId("show-views").checked);
  drawing.setViews(cameras);
  await refresh();
  showDraft();
}

start().catch((error) => say(error.message, "bad"));
