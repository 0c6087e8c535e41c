/** The page's words, translated by the server into `<template id="strings">`, and numbers as people read them. */

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

/** Give a length as people say it: centimetres under a metre. */
export function metres(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (value >= 100) return text("metres", { value: Math.round(value) });
  return value < 1 ? text("centimetres", { value: (value * 100).toFixed(value < 0.1 ? 1 : 0) }) : text("metres", { value: value.toFixed(2) });
}

/** Give pixels, or a dash. */
export function pixels(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  return text("pixels", { value: value >= 100 ? Math.round(value) : value.toFixed(1) });
}
