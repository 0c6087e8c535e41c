/** The page on which one camera is calibrated by clicks. */

import { Board } from "../shared/board.js";
import { inverse, Model } from "../shared/camera_model.js";
import { Floor } from "../shared/floor.js";
import { ask } from "../shared/rest.js";
import { metres, pixels, text } from "../shared/words.js";
import { Elsewhere } from "./elsewhere.js";
import { Fitting } from "./fitting.js";
import { drawBlank, drawGrid, drawMisses, drawTrust, drawTwin } from "./overlays.js";
import { Pairs } from "./pairs.js";
import { lastPicture, LivePictures, takePicture } from "./picture.js";
import { PairTable } from "./table.js";
import { Versions } from "./versions.js";
import { warped } from "./warp.js";

const setup = JSON.parse(document.getElementById("setup").textContent);
const byId = (id) => document.getElementById(id);
const camera = setup.camera;
const floor = new Floor(setup.plan);
const pairs = new Pairs();
const fitting = new Fitting(setup.urls.fit);

const sides = {
  px: { board: new Board(byId("picture"), describer("px")), toPoint: (p) => p, toPixels: (p) => p },
  m: { board: new Board(byId("plan"), describer("m")), toPoint: (p) => floor.toMetres(p), toPixels: (p) => floor.toPixels(p) },
};
const table = new PairTable(byId("pairs"), pairs, [camera.width, camera.height]);
const versions = new Versions(byId("versions"), setup.urls.versions, { look, say });
const elsewhere = new Elsewhere(setup.elsewhere, { pairs, refresh: showInUse, say });
const live = new LivePictures(setup.live);

let picture = null; // ImageData of what is shown
let reference = null; // the calibration in use, where it has no pairs
let warp = null; // canvas, made anew when fit or picture change
let colours = readColours();
const twin = { px: null, m: null }; // where the other side is pointed at
const shown = () => ({ warp: byId("show-warp").value / 100, grid: byId("show-grid").checked, trust: byId("show-trust").checked });

function describer(side) {
  return (id, [u, v]) => {
    const number = pairs.list.findIndex((pair) => pair.id === id) + 1;
    if (side === "px") return text("pointInPicture", { number, u: u.toFixed(1), v: v.toFixed(1) });
    const [x, y] = floor.toMetres([u, v]);
    return text("pointOnPlan", { number, x: x.toFixed(2), y: y.toFixed(2) });
  };
}

// --- what is drawn ---

function readColours() {
  const style = getComputedStyle(byId("plan"));
  const value = (name) => style.getPropertyValue(name).trim();
  return {
    axis: value("--accent"),
    line: value("--grid-line"),
    under: value("--grid-under"),
    bad: value("--bad"),
    twin: value("--twin"),
    blank: value("--well"),
    ellipse: value("--ellipse"),
    bands: [1, 2, 3, 4].map((n) => value(`--trust-${n}`)),
  };
}

sides.px.board.painters.push((context, board) => {
  const model = modelNow();
  const size = [camera.width, camera.height];
  if (model && shown().grid) drawGrid(context, board.unit, model, size, floor.bounds, colours);
  drawMisses(context, board.unit, misses("px"), colours);
  if (twin.px) drawTwin(context, board.unit, twin.px, colours);
});

sides.m.board.painters.push((context, board) => {
  if (!floor.hasPlan) drawBlank(context, board.unit, floor, colours);
  if (warp) {
    context.globalAlpha = shown().warp;
    context.drawImage(warp, 0, 0, floor.width, floor.height);
    context.globalAlpha = 1;
  }
  const trust = fitting.found?.numbers.trust;
  if (trust && shown().trust) drawTrust(context, board.unit, trust, floor, colours);
  drawMisses(context, board.unit, misses("m"), colours);
  if (twin.m) drawTwin(context, board.unit, twin.m, colours);
});

/** What pictures are laid over one another by: the pairs' fit, or the calibration in use while there is none. */
function modelNow() {
  return fitting.found?.model ?? (pairs.list.length ? null : reference);
}

function misses(side) {
  const { model } = fitting.found ?? {};
  if (!model) return [];
  const errors = errorsByPair();
  return pairs.whole.flatMap((pair) => {
    const at = side === "px" ? model.toPicture(...pair.m) : model.toFloor(...pair.px);
    if (!at) return [];
    const { toPixels } = sides[side];
    return [{ from: toPixels(pair[side]), to: toPixels(at), isOutlier: errors.get(pair.id)?.is_outlier }];
  });
}

function errorsByPair() {
  const errors = fitting.found?.numbers.errors ?? [];
  // while newer pairs are on their way, errors belong to those that were sent
  return new Map(pairs.whole.map((pair, index) => [pair.id, errors[index]]).filter(([, error]) => error));
}

function redraw() {
  sides.px.board.request();
  sides.m.board.request();
}

function warpAnew() {
  const model = modelNow();
  warp = model && picture && shown().warp > 0 ? warped(picture, camera, model, floor) : null;
  redraw();
}

// --- pictures ---

async function showPicture(bitmap) {
  sides.px.board.setContent(bitmap, camera.width, camera.height);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  picture = context.getImageData(0, 0, bitmap.width, bitmap.height);
  byId("no-picture").hidden = true;
  byId("size-warning").hidden = bitmap.width / bitmap.height === camera.width / camera.height;
  warpAnew();
}

async function take() {
  const button = byId("take");
  button.disabled = true;
  byId("no-picture-text").textContent = text("takingPicture");
  try {
    await showPicture(await takePicture(setup.urls, camera.is_online));
  } catch (error) {
    byId("no-picture-text").textContent = error.message;
    say(error.message, "bad");
  } finally {
    button.disabled = false;
  }
}

async function showPlan() {
  if (!floor.hasPlan) {
    sides.m.board.setContent(null, floor.width, floor.height);
    return;
  }
  const image = new Image();
  image.src = setup.plan.url;
  await image.decode();
  sides.m.board.setContent(image, floor.width, floor.height);
}

// --- pairs ---

for (const [side, { board, toPoint }] of Object.entries(sides)) {
  const other = side === "px" ? "m" : "px";
  board.addEventListener("place", ({ detail }) => {
    const id = pairs.place(side, toPoint(detail));
    const lacks = pairs.half;
    if (lacks) sides[other].board.element.focus({ preventScroll: true });
    else board.focusPoint(id);
  });
  board.addEventListener("move", ({ detail: { id, point, isOver } }) => pairs.move(id, side, toPoint(point), isOver));
  board.addEventListener("select", ({ detail }) => pairs.select(detail));
  board.addEventListener("remove", ({ detail }) => pairs.remove(detail));
  board.addEventListener("hover", ({ detail }) => point(side, other, detail));
}

/** Show where a place in one picture lies in the other. */
function point(side, other, at) {
  const model = modelNow();
  const there = at && model && (side === "px" ? model.toFloor(...at) : model.toPicture(...floor.toMetres(at)));
  twin[side] = null;
  twin[other] = there ? sides[other].toPixels(there) : null;
  const [x, y] = (side === "px" ? there : at && floor.toMetres(at)) || [];
  byId("pointed").textContent = x === undefined ? "" : text("pointedAt", { x: x.toFixed(2), y: y.toFixed(2) });
  redraw();
}

pairs.addEventListener("change", () => {
  if (pairs.list.length < 2) warpAnew(); // the calibration in use comes and goes with the first pair
  fitting.ask(pairs.asRows(), byId("kind").value);
  showPairs();
});
fitting.addEventListener("change", () => {
  showPairs();
  showWorth();
  warpAnew();
});

function showPairs() {
  const errors = errorsByPair();
  for (const [side, { board, toPixels }] of Object.entries(sides)) {
    board.setPoints(
      pairs.list.flatMap((pair, index) =>
        pair[side]
          ? [{
              id: pair.id,
              point: toPixels(pair[side]),
              label: String(index + 1),
              state: pair.px && pair.m ? (errors.get(pair.id)?.is_outlier ? "outlier" : "whole") : "half",
              isSelected: pair.id === pairs.selected,
            }]
          : [],
      ),
    );
  }
  table.show(errors);
  byId("undo").disabled = !pairs.canUndo;
  byId("redo").disabled = !pairs.canRedo;
  byId("pairs-empty").hidden = pairs.list.length > 0;
  byId("save").disabled = !fitting.found || isRefused() || fitting.isAsking || Boolean(pairs.half) || !pairs.isChanged;
  showHint();
}

/** Say whether what is wrong keeps the pairs from being used. */
function isRefused() {
  return fitting.found?.numbers.warnings.some((found) => found.is_fatal) ?? false;
}

function showHint() {
  const count = pairs.whole.length;
  const half = pairs.half;
  byId("picture-panel").classList.toggle("is-wanted", half ? !half.px : count < 4);
  byId("plan-panel").classList.toggle("is-wanted", Boolean(half) && !half.m);
  byId("hint").textContent = half ? text(half.px ? "hintPlan" : "hintPicture", { number: pairs.list.indexOf(half) + 1 }) : hintFor(count);
}

function hintFor(count) {
  if (count === 0) return text("hintStart");
  if (count < 4) return text("hintMore", { left: 4 - count });
  if (fitting.problem || isRefused()) return text("hintProblem");
  if (count < 6) return text("hintSix");
  return text(pairs.isChanged ? "hintSave" : "hintSaved");
}

// --- what the fit is worth ---

function showWorth() {
  const { numbers } = fitting.found ?? {};
  byId("worth").hidden = !numbers;
  const messages = fitting.problem ? [{ message: fitting.problem, is_fatal: true, pairs: [] }] : (numbers?.warnings ?? []);
  byId("warnings").replaceChildren(...messages.map(warning));
  if (!numbers) return;
  byId("worth-m").textContent = metres(numbers.median_error_m);
  byId("worth-px").textContent = pixels(numbers.median_error_px);
  byId("worth-out").textContent = metres(numbers.median_left_out_m);
  byId("worth-kind").textContent = text(`kind.${numbers.kind}`);
  const tone = numbers.warnings.length ? "warn" : grade(numbers);
  byId("grade").dataset.tone = tone;
  byId("grade").textContent = text(`grade.${tone}`);
  byId("pairs-said").textContent = text("fitSaid", { count: pairs.whole.length, error: metres(numbers.median_error_m) });
}

function grade({ median_left_out_m: leftOut, errors }) {
  if (errors.length < 6 || leftOut === null) return "fair";
  return leftOut <= 0.15 ? "good" : leftOut <= 0.4 ? "fair" : "warn";
}

function warning({ message, is_fatal: isFatal, pairs: numbers }) {
  const row = document.createElement("li");
  row.dataset.tone = isFatal ? "bad" : "warn";
  row.append(Object.assign(document.createElement("span"), { textContent: `${message.replace(/\.$/, "")}.` }));
  const first = pairs.whole[numbers?.[0]];
  if (!first) return row;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button-plain";
  button.textContent = text("showPair");
  button.addEventListener("click", () => {
    pairs.select(first.id);
    for (const [side, { board, toPixels }] of Object.entries(sides)) board.reveal(toPixels(first[side]));
    sides.px.board.focusPoint(first.id);
  });
  row.append(button);
  return row;
}

// --- saving ---

async function save() {
  byId("save").disabled = true;
  try {
    const kind = byId("kind").value;
    await ask("PUT", setup.urls.calibration, { body: { point_pairs: pairs.asRows(), ...(kind ? { kind } : {}) } });
    pairs.keep();
    await versions.refresh();
    say(text("saved"), "good");
  } catch (error) {
    say(error.message, "bad");
    showPairs();
  }
}

function look(version) {
  pairs.load(version.point_pairs);
  if (!version.is_active) say(text("looking"), "info");
}

function say(message, tone) {
  byId("said").dataset.tone = tone;
  byId("said").textContent = message;
  byId("said").hidden = false;
}

// --- controls ---

byId("save").addEventListener("click", save);
byId("undo").addEventListener("click", () => pairs.undo());
byId("redo").addEventListener("click", () => pairs.redo());
byId("take").addEventListener("click", take);
byId("kind").addEventListener("change", () => fitting.ask(pairs.asRows(), byId("kind").value));
byId("show-warp").addEventListener("input", () => (warp ? redraw() : warpAnew()));
for (const id of ["show-grid", "show-trust"]) byId(id).addEventListener("change", redraw);
byId("show-trust").addEventListener("change", () => (byId("legend").hidden = !byId("show-trust").checked));
for (const button of document.querySelectorAll("[data-zoom]")) {
  const { board } = sides[button.closest("[data-side]").dataset.side];
  const acts = { in: () => board.zoom(1.4), out: () => board.zoom(1 / 1.4), fit: () => board.fit() };
  button.addEventListener("click", acts[button.dataset.zoom]);
}

byId("live").addEventListener("click", () => {
  const isOn = byId("live").getAttribute("aria-pressed") === "true";
  byId("live").setAttribute("aria-pressed", String(!isOn));
  isOn ? live.close() : live.open();
});
live.addEventListener("picture", ({ detail }) => showPicture(detail));
live.addEventListener("quiet", () => say(text("notTracked"), "warn"));
live.addEventListener("close", () => byId("live").setAttribute("aria-pressed", "false"));

document.addEventListener("keydown", (event) => {
  if (!(event.ctrlKey || event.metaKey) || event.target.matches("input")) return;
  const key = event.key.toLowerCase();
  if (key === "z" && !event.shiftKey) pairs.undo();
  else if (key === "y" || key === "z") pairs.redo();
  else return;
  event.preventDefault();
});
addEventListener("beforeunload", (event) => {
  if (pairs.isChanged) event.preventDefault();
});
new MutationObserver(() => {
  colours = readColours();
  redraw();
}).observe(document.documentElement, { attributeFilter: ["data-theme"] });

// --- begin ---

/** Show the calibration in use: its pairs, or what it says where it has none. */
async function showInUse({ isFirst = false } = {}) {
  const active = (await versions.refresh()).find((version) => version.is_active);
  if (!active) return;
  reference = new Model({ ...active, h_world_to_image: inverse(active.h_image_to_world) });
  if (isFirst && pairs.list.length) return; // somebody was quicker: their clicks stay
  pairs.load(active.point_pairs);
  if (isFirst) pairs.forgetHistory();
  warpAnew();
}

async function begin() {
  showPairs();
  showPlan().catch(() => say(text("noPlanPicture"), "bad"));
  showInUse({ isFirst: true }).catch((error) => say(error.message, "bad"));
  elsewhere.refresh().catch((error) => say(error.message, "bad"));
  const last = camera.is_online ? null : await lastPicture(setup.urls).catch(() => null);
  if (last) await showPicture(last);
  else await take();
}

begin();
