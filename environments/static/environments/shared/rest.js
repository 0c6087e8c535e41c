/** Asking the REST interface as whoever is signed in to the page. */

import { text } from "./words.js";

const token = () => document.querySelector("input[name=csrfmiddlewaretoken]").value;

/** What went wrong, in the server's own sentence where it gave one. */
export class RestError extends Error {
  constructor(status, error) {
    super(sentence(status, error));
    this.status = status;
    this.fields = error?.fields ?? {};
  }
}

/**
 * Send a request; give the answer's JSON, or the blob of a picture.
 * @param {string} method
 * @param {string} url
 * @param {{body?: unknown, signal?: AbortSignal}} [options]
 */
export async function ask(method, url, { body, signal } = {}) {
  const isForm = body instanceof FormData;
  const headers = { Accept: "application/json, image/*;q=0.9" };
  if (method !== "GET") headers["X-CSRFToken"] = token();
  if (body !== undefined && !isForm) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(url, { method, headers, signal, body: body === undefined || isForm ? body : JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new RestError(0, null);
  }
  if (!answer.ok) throw new RestError(answer.status, (await answer.json().catch(() => null))?.error);
  if (answer.status === 204) return null;
  return answer.headers.get("Content-Type").startsWith("image/") ? answer.blob() : answer.json();
}

function sentence(status, error) {
  if (status === 0) return text("noServer");
  const first = firstText(error?.fields);
  const said = first ?? error?.message ?? text("refused", { status });
  return said.charAt(0).toUpperCase() + said.slice(1) + (/[.!?]$/.test(said) ? "" : ".");
}

/** The first sentence in a tree of them. */
function firstText(tree) {
  if (typeof tree === "string") return tree;
  if (tree === null || typeof tree !== "object") return undefined;
  for (const part of Object.values(tree)) {
    const found = firstText(part);
    if (found !== undefined) return found;
  }
  return undefined;
}
