// The theme that was chosen, before anything is drawn in another one. Without a choice it is the system's.
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("pg_background.theme");
  } catch {
    // Storage is turned off: the system's it is.
  }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
