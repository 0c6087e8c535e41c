/** Keys of the live view; they can be switched off, as some voice and switch controls type letters. */

const STORED = "spoton-keys";
const TYPING = "input, select, textarea, [contenteditable]";

function stored() {
  try {
    return localStorage.getItem(STORED) !== "off";
  } catch {
    return true; // storage is blocked
  }
}

/**
 * Listen for keys.
 * @param {Record<string, () => void>} actions by key
 * @param {HTMLInputElement} toggle whether letters and digits do anything
 */
export function listen(actions, toggle) {
  toggle.checked = stored();
  toggle.addEventListener("change", () => {
    try {
      localStorage.setItem(STORED, toggle.checked ? "on" : "off");
    } catch {
      // storage is blocked: the choice lasts as long as the page
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest(TYPING)) return;
    // arrows belong to the map while it has the focus
    if (event.key.startsWith("Arrow") && event.target.closest(".leaflet-container")) return;
    if (event.key.length === 1 && !toggle.checked) return;
    if (document.querySelector("dialog[open]")) return;
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}

/** Show an element on the whole screen, or no more. */
export function toggleFullScreen(element) {
  if (document.fullscreenElement) document.exitFullscreen();
  else element.requestFullscreen?.().catch((error) => console.info("full screen:", error.message));
}
