/* Runs before the first paint, hence a classic script: the stored choice, or dark, the look SpotOn is known by. */
(() => {
  "use strict";
  const root = document.documentElement;

  const stored = () => {
    try {
      return localStorage.getItem("spoton-theme");
    } catch {
      return null; // storage is blocked
    }
  };
  root.dataset.theme = stored() ?? "dark";

  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-toggle]")) return;
    const theme = root.dataset.theme === "light" ? "dark" : "light";
    try {
      localStorage.setItem("spoton-theme", theme);
    } catch {
      // storage is blocked: the choice lasts as long as the page
    }
    root.dataset.theme = theme;
    document.dispatchEvent(new CustomEvent("themechange"));
  });
})();
