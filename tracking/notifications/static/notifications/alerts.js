/** Keeps the list of alerts fresh while the page is open, and shows what becomes of a test. */

import { Connection } from "../tracking/live/connection.js";

const page = document.getElementById("main");
const TEST_POLL_MS = 500;
const TEST_LATE_MS = 15000;

/** Fetch this page again and take its list; what is being typed there stays, until it is sent or left. */
async function refresh() {
  const list = document.getElementById("alerts");
  if (list.contains(document.activeElement) && document.activeElement.value) return;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("alerts");
  if (fresh) list.replaceWith(document.adoptNode(fresh));
}

let waiting = null;

/** Several alerts that come together are one refresh. */
function refreshSoon() {
  clearTimeout(waiting);
  waiting = setTimeout(refresh, 200);
}

const connection = new Connection(page.dataset.socket, page.dataset.subprotocol);
let wasLive = false;
connection.addEventListener("message", ({ detail }) => {
  if (detail.type === "alert") refreshSoon();
  if (detail.type === "hello") {
    if (wasLive) refreshSoon(); // it was away, and may have missed something
    wasLive = true;
  }
});
connection.addEventListener("state", () => {
  if (connection.state === "signed-out") location.reload();
});
connection.open();

/** Ask how each recipient of a test answered until all have. */
async function watchTest(box) {
  const began = performance.now();
  while (box.querySelector('[data-state="waiting"]')) {
    if (performance.now() - began > TEST_LATE_MS) {
      box.querySelector(".test-late").hidden = false;
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, TEST_POLL_MS));
    const answer = await fetch(box.dataset.test, { headers: { Accept: "application/json" } });
    if (!answer.ok) return;
    const rows = [...box.querySelectorAll("li")];
    (await answer.json()).forEach(({ state, outcome }, place) => {
      if (state === "waiting" || !rows[place]) return;
      rows[place].dataset.state = state;
      rows[place].querySelector("span").textContent = outcome;
    });
  }
}

document.querySelectorAll("[data-test]").forEach(watchTest);
