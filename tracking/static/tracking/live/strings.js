/** The page's words, translated by the server into `<template id="strings">`. */

const words = new Map(
  [...document.getElementById("strings").content.querySelectorAll("[data-key]")].map((element) => [
    element.dataset.key,
    element.textContent,
  ]),
);

/**
 * Give a text with its `{name}` places filled in.
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 */
export function text(key, values = {}) {
  const template = words.get(key) ?? key;
  return template.replace(/\{(\w+)\}/g, (place, name) => (name in values ? String(values[name]) : place));
}

/** Say whether there is a text of that name. */
export function hasText(key) {
  return words.has(key);
}
