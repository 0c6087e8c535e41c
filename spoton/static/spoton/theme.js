/* Runs before the first paint, hence a classic script: the stored choice, or what the system prefers. */
(() => {
  "use strict";
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: light)");

  const stored = () => {
    try {
      return localStorage.getItem("spoton-theme");
    } catch {
      return null; // storage is blocked: the system's preference holds
    }
  };
  const apply = () => {
    root.dataset.theme = stored() ?? (system.matches ? "light" : "dark");
  };
  apply();
  system.addEventListener("change", apply);

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
