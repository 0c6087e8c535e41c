/** The system page: what the server tells of workers, sessions, stages, cameras and storage, as it changes. */

import { ask } from "./api.js";
import { Connection } from "./connection.js";
import { make, set } from "./elements.js";
import { Notice } from "./notice.js";
import { text } from "./strings.js";

const VERSIONS_S = 15;
const TONES = {
  online: "good", running: "good", connecting: "warn", starting: "warn", waiting: "warn", paused: "warn", ended: "warn",
  offline: "bad", failed: "bad",
};
const $ = (id) => document.getElementById(id);
const main = $("main");
const connection = new Connection(main.dataset.socket, main.dataset.subprotocol);
const notice = new Notice({ box: $("notice"), main, connection, pill: $("connection") });
notice.hasCameras = false; // sessions are told of below, one by one

connection.addEventListener("message", ({ detail }) => {
  if (detail.type === "status") show(detail);
});

function show({ workers, sessions, cameras, stages, storage, queues, overload = {} }) {
  const places = new Map(sessions.map(({ id, environment }) => [id, environment]));
  const up = cameras.filter(({ state }) => state === "online").length;
  const backlog = Object.values(storage).reduce((sum, about) => sum + (about?.backlog_rows ?? 0), 0);
  tally("cameras-up", `${up}/${cameras.length}`, up === cameras.length ? "" : "warn");
  tally("sessions-running", `${sessions.filter(({ state }) => state === "running").length}/${sessions.length}`);
  tally("backlog", backlog.toLocaleString());
  tally("tasks", Object.values(queues).reduce((sum, count) => sum + count, 0).toLocaleString());
  $("tasks").title = Object.entries(queues).map(([name, count]) => `${name}: ${count}`).join(", ");
  fill("workers", workers.map(({ name, sessions: held, gpus }) => [name, held.map((id) => places.get(id) ?? id).join(", "), gpuCell(gpus)]));
  fill("sessions", sessions.map((session) => sessionCells(session, storage[session.environment], overload[session.environment])));
  fill("cameras", cameras.map(cameraCells));
  showStages(stages);
}

function sessionCells({ environment, state, worker, message }, about, overload) {
  return [
    link(environment), stateCell(state, text(`session.${state}`)), worker || "–",
    overload?.step ? text("overload", overload) : "–",
    about ? about.backlog_rows.toLocaleString() : "–",
    about && about.oldest_s !== null ? text("seconds", { seconds: about.oldest_s }) : "–",
    about ? text("megabytes", { megabytes: (about.spool_bytes / 1e6).toFixed(1) }) : "–",
    about ? about.dropped_rows.toLocaleString() : "–", words(message),
  ];
}

function cameraCells({ environment, id, state, fps, age_ms: p50, age_p95_ms: p95, innovation, unexplained, message }) {
  return [
    link(environment), id, stateCell(state, text(`state.${state}`)), figure(fps, 1),
    p50 === null ? "–" : `${Math.round(p50)} / ${Math.round(p95 ?? p50)} ms`,
    figure(innovation, 2), unexplained === null ? "–" : text("percent", { percent: Math.round(100 * unexplained) }), words(message),
  ];
}

/** Stages are what the workers say they are: the columns come with the figures. */
function showStages(stages) {
  const names = [...new Set(Object.values(stages).flatMap((of) => Object.keys(of)))];
  const head = names.length ? [text("place"), ...names.map((name) => name.replaceAll("_", " "))] : [];
  if ($("stages-head").textContent !== head.join("")) {
    $("stages-head").replaceChildren(...head.map((name) => make("th", { scope: "col", text: name })));
  }
  const rows = Object.entries(stages).filter(([, of]) => Object.keys(of).length);
  fill("stages", rows.map(([place, of]) => [
    link(place), ...names.map((name) => (of[name] ? `${figure(of[name].p50_ms, 1)} / ${figure(of[name].p95_ms, 1)}` : "–")),
  ]));
}

function fill(id, rows) {
  $(`${id}-empty`).hidden = rows.length > 0;
  $(id).closest(".table-box").hidden = rows.length === 0;
  const focused = $(id).querySelector(":focus");
  if (focused) return; // whoever is on a link here reads on; the next message brings it up to date
  $(id).replaceChildren(...rows.map((cells) => make("tr", {}, ...cells.map((cell) => (cell instanceof HTMLTableCellElement ? cell : make("td", {}, cell))))));
}

function tally(id, words, tone = "") {
  set($(id), words);
  $(id).dataset.tone = tone;
}

function link(slug) {
  return make("a", { href: `/environments/${slug}/live/`, text: slug });
}

function stateCell(state, label) {
  return make("span", { className: "with-dot" }, make("span", { className: "dot", "data-tone": TONES[state] ?? "", "aria-hidden": "true" }), label);
}

function words(message) {
  return make("td", { className: "is-words", text: message });
}

function gpuCell(gpus) {
  if (!gpus.length) return text("noGpu");
  return make("span", {}, ...gpus.map(({ name, used_mb: used, total_mb: total }) => {
    const meter = make("span", { className: "meter", "aria-hidden": "true" }, make("i"));
    meter.style.setProperty("--share", String(used / total));
    meter.classList.toggle("is-full", used > 0.9 * total);
    return make("span", { title: name }, meter, text("gpuMemory", { used: Math.round(used), total: Math.round(total) }));
  }));
}

function figure(value, digits) {
  return value === null || value === undefined ? "–" : value.toFixed(digits);
}

async function showVersions() {
  if (document.hidden) return;
  try {
    const { version, database, redis } = await ask("GET", main.dataset.system);
    tally("version", version);
    tally("database", text(database ? "answers" : "away"), database ? "good" : "bad");
    tally("redis", text(redis ? "answers" : "away"), redis ? "good" : "bad");
  } catch (error) {
    tally("database", text("unknown"), "warn");
    tally("redis", text("unknown"), "warn");
    $("database").title = error.message;
  }
}

setInterval(showVersions, VERSIONS_S * 1000);
showVersions();
connection.open();
