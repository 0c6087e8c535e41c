/** Asks the REST interface, as the user who is signed in here. */

/** An answer that says no; its message is for people. */
export class Refused extends Error {}

/**
 * Ask, and give the answer.
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 * @returns {Promise<any>}
 */
export async function ask(method, path, body) {
  const headers = { Accept: "application/json" };
  if (method !== "GET") headers["X-CSRFToken"] = document.querySelector("[name=csrfmiddlewaretoken]").value;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const said = answer.status === 204 ? null : await answer.json().catch(() => null);
  if (!answer.ok) throw new Refused(said?.error?.message ?? `${answer.status} ${answer.statusText}`);
  return said;
}
