/** Small pieces of the page that several parts make. */

import { personColour } from "./colours.js";

/**
 * Make an element.
 * @param {string} name
 * @param {{text?: string, className?: string, [attribute: string]: unknown}} [about]
 * @param {(Node | string)[]} children
 */
export function make(name, { text: words, className, ...attributes } = {}, ...children) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (words !== undefined) element.textContent = words;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  element.append(...children);
  return element;
}

/** Give a person's chip. */
export function chip(person) {
  const element = make("span", { className: "chip", text: String(person) });
  element.style.setProperty("--person", personColour(person));
  return element;
}

/** Write a text where it has changed: what stays the same costs no layout. */
export function set(element, value) {
  if (element.textContent !== value) element.textContent = value;
}

/** Let elements stand in an order, moving only those that do not yet. */
export function order(parent, elements) {
  let next = parent.firstElementChild;
  for (const element of elements) {
    if (element === next) next = next.nextElementSibling;
    else parent.insertBefore(element, next);
  }
}
