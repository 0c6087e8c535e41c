/** The page on which a floor plan's picture is put in, and put to scale by clicks. */

import { Board } from "../shared/board.js";
import { Floor } from "../shared/floor.js";
import { ask } from "../shared/rest.js";
import { text } from "../shared/words.js";
import { drawFloorGrid } from "./grid.js";

const setup = JSON.parse(document.getElementById("setup").textContent);
const byId = (id) => document.getElementById(id);
const LABELS = { from: "A", to: "B", origin: "0", axis: "X" };
const LEAST_TURN_DEG = 0.05; // nobody clicks more exactly

const board = new Board(byId("board"), (id, [u, v]) => text(`point.${id}`, { u: Math.round(u), v: Math.round(v) }));
let file = null; // chosen, not yet sent
let places = {}; // by name, pixels
let wanted = null; // which of them the next click puts
let kept = ""; // what is stored, as a text
let colours = readColours();

function readColours() {
  const style = getComputedStyle(byId("board"));
  const value = (name) => style.getPropertyValue(name).trim();
  return { axis: value("--accent"), length: value("--twin"), grid: value("--plan-grid") };
}

// --- what is known ---

/** Metres a pixel, or null. */
function scale() {
  const typed = Number(byId("metres-per-px").value);
  return typed > 0 ? typed : null;
}

/** Work the scale out from two places and their distance. */
function measure() {
  const distance = Number(byId("distance").value);
  if (!places.from || !places.to || !(distance > 0)) return;
  const length = Math.hypot(places.to[0] - places.from[0], places.to[1] - places.from[1]);
  if (length > 0) byId("metres-per-px").value = String(Number((distance / length).toPrecision(6)));
}

/** By how much the picture is to be turned, counter-clockwise, so that x runs to the right. */
function turnDeg() {
  if (!places.origin || !places.axis) return 0;
  const angle = (Math.atan2(places.axis[1] - places.origin[1], places.axis[0] - places.origin[0]) * 180) / Math.PI;
  return Math.abs(angle) < LEAST_TURN_DEG ? 0 : Number(angle.toFixed(2));
}

function asText() {
  return JSON.stringify([places.origin ?? null, byId("metres-per-px").value, turnDeg(), file?.name ?? ""]);
}

// --- what is shown ---

function show() {
  board.setPoints(
    Object.entries(places).map(([id, point]) => ({ id, point, label: LABELS[id], state: "whole", isSelected: id === wanted })),
  );
  const hasPicture = board.content !== null;
  byId("board-empty").hidden = hasPicture;
  for (const button of document.querySelectorAll("[data-want]")) {
    button.disabled = !hasPicture;
    button.setAttribute("aria-pressed", String(button.dataset.want === wanted));
  }
  byId("turn").textContent = turnDeg() === 0 ? text("notTurned") : text("turned", { degrees: turnDeg() });
  const size = scale();
  byId("covers").textContent =
    hasPicture && size ? text("covers", { width: (board.size[0] * size).toFixed(1), height: (board.size[1] * size).toFixed(1) }) : "";
  byId("save").disabled = !hasPicture || !size || !places.origin || asText() === kept;
  byId("hint").textContent = hint(hasPicture, size);
}

function hint(hasPicture, size) {
  if (!hasPicture) return text("hintPicture");
  if (wanted) return text(`hint.${wanted}`);
  if (!size) return text("hintScale");
  if (!places.origin) return text("hintOrigin");
  return text(asText() === kept ? "hintKept" : "hintSave");
}

board.painters.push((context) => {
  const size = scale();
  if (board.content && places.origin && size) {
    drawFloorGrid(context, board, { origin: places.origin, metresPerPx: size, turnDeg: turnDeg() }, colours);
  }
  for (const [from, to, colour] of [[places.from, places.to, colours.length], [places.origin, places.axis, colours.axis]]) {
    if (!from || !to) continue;
    context.lineWidth = 2.5 * board.unit;
    context.strokeStyle = colour;
    context.beginPath();
    context.moveTo(...from);
    context.lineTo(...to);
    context.stroke();
  }
});

// --- what is done ---

async function choose(chosen) {
  if (!chosen) return;
  let picture;
  try {
    picture = await createImageBitmap(chosen);
  } catch {
    byId("file").value = "";
    await refuse(chosen);
    return;
  }
  file = chosen;
  places = {};
  byId("metres-per-px").value = "";
  byId("said").hidden = true;
  board.setContent(picture, picture.width, picture.height);
  want("from");
}

/** Let the server say what is wrong with a file that this browser cannot show; it stores nothing that is no picture. */
async function refuse(chosen) {
  const body = asForm({ image: chosen, metres_per_px: 1, check_only: true });
  await ask("PUT", setup.urls.plan, { body }).then(
    () => say(text("noPicture"), "bad"),
    (error) => say(error.message, "bad"),
  );
}

function asForm(given) {
  const form = new FormData();
  for (const [name, value] of Object.entries(given)) form.append(name, value);
  return form;
}

async function showStored() {
  if (setup.plan) {
    const image = new Image();
    image.src = setup.plan.url;
    await image.decode();
    const floor = new Floor(setup.plan);
    board.setContent(image, floor.width, floor.height);
    places = { origin: floor.toPixels([0, 0]) };
    byId("metres-per-px").value = String(setup.plan.metres_per_px);
    kept = asText();
  }
  show();
}

function want(name) {
  wanted = name;
  show();
}

/** Go on to what is still lacking. */
function goOn(name) {
  if (name === "from" && !places.to) {
    want("to");
    return;
  }
  want(null);
  if (name === "to") byId("distance").focus();
  else board.focusPoint(name);
}

async function save() {
  byId("save").disabled = true;
  const given = {
    metres_per_px: scale(),
    origin_x_px: Number(places.origin[0].toFixed(2)),
    origin_y_px: Number(places.origin[1].toFixed(2)),
    turn_deg: turnDeg(),
  };
  try {
    if (file) await ask("PUT", setup.urls.plan, { body: asForm({ ...given, image: file }) });
    else await ask("PATCH", setup.urls.plan, { body: given });
    kept = asText();
    location.reload(); // the picture may have been turned: what is shown then is what is stored
  } catch (error) {
    say(error.message, "bad");
    show();
  }
}

function say(message, tone) {
  byId("said").dataset.tone = tone;
  byId("said").textContent = message;
  byId("said").hidden = false;
}

function place(name, point) {
  if (!board.content || !name) return;
  places[name] = point;
  measure();
  goOn(name);
}

board.addEventListener("place", ({ detail }) => place(wanted ?? (places.origin ? null : "origin"), detail));
// one place may be another one too: the scale often begins at the origin
board.addEventListener("tap", ({ detail: { id, point } }) => id !== wanted && place(wanted, [...point]));
board.addEventListener("move", ({ detail: { id, point } }) => {
  places[id] = point;
  if (id === "from" || id === "to") measure();
  show();
});
board.addEventListener("remove", ({ detail }) => {
  delete places[detail];
  show();
});
byId("file").addEventListener("change", (event) => choose(event.target.files[0]));
byId("distance").addEventListener("input", () => {
  measure();
  show();
});
byId("metres-per-px").addEventListener("input", show);
byId("save").addEventListener("click", save);
for (const button of document.querySelectorAll("[data-want]")) {
  button.addEventListener("click", () => want(wanted === button.dataset.want ? null : button.dataset.want));
}
for (const button of document.querySelectorAll("[data-zoom]")) {
  const acts = { in: () => board.zoom(1.4), out: () => board.zoom(1 / 1.4), fit: () => board.fit() };
  button.addEventListener("click", acts[button.dataset.zoom]);
}
byId("board").addEventListener("dragover", (event) => event.preventDefault());
byId("board").addEventListener("drop", (event) => {
  event.preventDefault();
  choose(event.dataTransfer.files[0]);
});
addEventListener("beforeunload", (event) => {
  if (board.content && kept !== asText()) event.preventDefault();
});
new MutationObserver(() => {
  colours = readColours();
  board.request();
}).observe(document.documentElement, { attributeFilter: ["data-theme"] });

showStored().catch(() => say(text("unreadable"), "bad"));
