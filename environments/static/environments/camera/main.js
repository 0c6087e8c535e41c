/** The test of a camera's address, on its form: what it shows, or what is wrong, before anything is saved. */

import { ask } from "../shared/rest.js";
import { text } from "../shared/words.js";

const POLL_MS = 400;
const PATIENCE_MS = 45_000;
const box = document.getElementById("address-test");
const field = (name) => document.getElementById(`id_${name}`);
const part = (name) => box.querySelector(`[data-part="${name}"]`);
let running = 0; // a newer test outdates an older one

field("source_url").closest(".form-row").append(box);
box.hidden = false;

async function test() {
  const run = (running += 1);
  const address = field("source_url").value.trim();
  if (!address) {
    say(text("noAddress"), "bad");
    field("source_url").focus();
    return;
  }
  say(text("testing"), "info");
  part("picture").hidden = part("facts").hidden = true;
  part("test").disabled = true;
  try {
    const found = await probe(address, () => run === running);
    if (found) await show(found);
  } catch (error) {
    if (run === running) say(error.message, "bad");
  } finally {
    part("test").disabled = false;
  }
}

/** Have the address opened; give what was found and where, or null when nobody waits for it any more. */
async function probe(address, isWanted) {
  // an unchanged address stands here without its password: the server knows it
  const isStored = box.dataset.cameraProbe && address === field("source_url").defaultValue;
  let url = box.dataset.cameraProbe;
  if (isStored) await ask("POST", url);
  else url = `${box.dataset.probes}${(await ask("POST", box.dataset.probes, { body: { source_url: address } })).id}/`;
  const pictureUrl = `${url}picture/`;
  const deadline = performance.now() + PATIENCE_MS;
  while (isWanted()) {
    await new Promise((done) => setTimeout(done, POLL_MS));
    const found = await ask("GET", url);
    if (found.state === "failed") throw new Error(found.message);
    if (found.state === "done") return { ...found, pictureUrl };
    if (performance.now() > deadline) throw new Error(text("probeSilent"));
  }
  return null;
}

async function show(found) {
  const picture = part("picture");
  picture.src = URL.createObjectURL(await ask("GET", found.pictureUrl));
  picture.hidden = false;
  fact("size", text("size", found));
  fact("rate", found.fps === null ? "–" : text("rate", { fps: found.fps.toFixed(1) }));
  fact("codec", found.codec || "–");
  fact("delay", text("seconds", { value: found.first_picture_s.toFixed(1) }));
  fact("clock", clock(found.clock_offset_s));
  part("facts").hidden = false;
  say(fill(found) ? text("filled") : text("works"), "good");
}

function clock(offset) {
  if (offset === null) return text("noClock");
  const value = Math.abs(offset).toFixed(offset < -60 || offset > 60 ? 0 : 1);
  return text(offset < 0 ? "clockBehind" : "clockAhead", { value });
}

/** Take size and rate over into the form; say whether that changed anything. */
function fill({ width, height, fps }) {
  const wanted = { width, height };
  if (fps !== null && field("fps").value === field("fps").defaultValue && !box.dataset.cameraProbe) {
    wanted.fps = Math.min(120, Math.max(0.1, Number(fps.toFixed(fps < 3 ? 1 : 0))));
  }
  let isChanged = false;
  for (const [name, value] of Object.entries(wanted)) {
    isChanged ||= Number(field(name).value) !== value;
    field(name).value = String(value);
  }
  return isChanged;
}

function fact(name, value) {
  part(name).textContent = value;
}

function say(message, tone) {
  part("said").textContent = message;
  part("said").dataset.tone = tone;
  part("said").hidden = false;
}

part("test").addEventListener("click", test);
