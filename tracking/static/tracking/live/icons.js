/** Icons of the sprite that the page names. */

const SVG = "http://www.w3.org/2000/svg";
const sprite = document.querySelector("[data-icons]").dataset.icons;

/** @param {string} name */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `${sprite}#${name}`);
  svg.append(use);
  return svg;
}
