// The choice of a release: each is a folder, and versions.js beside them lists them.
(() => {
  const box = document.querySelector(".versions");
  const list = window.PG_BACKGROUND_VERSIONS || [];
  const select = box.querySelector("select");
  if (list.length < 2) {
    select.disabled = true;
    return;
  }
  select.replaceChildren(...list.map((name) => new Option(name, name, false, name === box.dataset.version)));
  select.addEventListener("change", () => {
    const folder = new URL(box.dataset.root, location.href);
    location.href = new URL(`../${encodeURIComponent(select.value)}/index.html`, folder);
  });
})();
