/** Short words that go by themselves. */

import { make } from "./elements.js";

const SHOWN_MS = 6000;
const box = document.getElementById("toasts");

/** @param {string} words @param {"" | "bad"} [tone] */
export function toast(words, tone = "") {
  const element = make("p", { className: "toast", "data-tone": tone, text: words });
  box.append(element);
  setTimeout(() => element.remove(), SHOWN_MS);
}
