// What makes a page live: it reads and navigates without any of this.

const remember = (name, value) => {
  try {
    if (value === undefined) return localStorage.getItem(`pg_background.${name}`);
    if (value === null) localStorage.removeItem(`pg_background.${name}`);
    else localStorage.setItem(`pg_background.${name}`, value);
  } catch {
    // Storage is turned off: nothing is remembered.
  }
  return null;
};

document.documentElement.classList.add("scripted");
for (const element of document.querySelectorAll(".needs-script")) element.hidden = false;

// ---- theme

const THEMES = ["system", "light", "dark"];
const theme = document.querySelector("[data-theme-switch]");
let themeNow = remember("theme") ?? "system";

function showTheme() {
  if (themeNow === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = themeNow;
  theme.title = `Theme: ${themeNow}`;
  theme.setAttribute("aria-label", theme.title);
  document.dispatchEvent(new Event("theme"));
}

theme?.addEventListener("click", () => {
  themeNow = THEMES[(THEMES.indexOf(themeNow) + 1) % THEMES.length];
  remember("theme", themeNow === "system" ? null : themeNow);
  showTheme();
});
if (theme) showTheme();

// ---- putting what is new in the place of what was there, so that focus, selection and open questions stay

function morph(old, fresh) {
  const byKey = new Map();
  for (const child of old.children) if (child.dataset.key) byKey.set(child.dataset.key, child);
  let place = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const keyed = wanted.nodeType === 1 && wanted.dataset.key ? byKey.get(wanted.dataset.key) : undefined;
    let match = keyed ?? place;
    if (!keyed && match?.nodeType === 1 && match.dataset.key) match = wanted.dataset?.key ? null : match;
    if (match && match.nodeName === wanted.nodeName && (keyed || !(match.dataset?.key && wanted.dataset?.key))) {
      if (match !== place) old.insertBefore(match, place);
      update(match, wanted);
      place = match.nextSibling;
    } else {
      old.insertBefore(wanted, place);
    }
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

function update(old, fresh) {
  if (old.nodeType !== 1) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  for (const { name } of [...old.attributes]) {
    // A question that is open stays open.
    if (!fresh.hasAttribute(name) && !(name === "open" && old.nodeName === "DETAILS")) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  morph(old, fresh);
}

// ---- live views

const view = document.querySelector("[data-live]");
const pause = document.querySelector("[data-pause]");
const state = document.querySelector("[data-live-state]");
let stream = null;
let retry = 0;
let paused = false;

function say(text, stale) {
  if (state) state.textContent = text;
  document.documentElement.classList.toggle("stale", stale);
}

function show(html) {
  const fresh = document.createElement("div");
  fresh.innerHTML = html;
  morph(view, fresh);
}

function showTime({ at, text }) {
  const shown = document.querySelector("[data-now]");
  if (!shown) return;
  shown.textContent = text;
  shown.dateTime = at;
}

export function connect() {
  stream?.close();
  clearTimeout(retry);
  stream = null;
  // A tab that nobody sees costs the server nothing.
  if (!view || paused || document.hidden) return;
  const source = new EventSource(view.dataset.live);
  stream = source;
  source.addEventListener("open", () => say("Live,", false));
  source.addEventListener("view", (event) => show(JSON.parse(event.data)));
  source.addEventListener("now", (event) => showTime(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    say("No connection since", true);
    if (source.readyState === EventSource.CLOSED) {
      // Refused: signed out, or there are too many of them.
      clearTimeout(retry);
      retry = setTimeout(connect, 5000);
    }
  });
}

function setPaused(value) {
  paused = value;
  pause.setAttribute("aria-pressed", String(paused));
  pause.textContent = paused ? "Go on" : "Pause";
  if (paused) say("Paused at", false);
  document.dispatchEvent(new CustomEvent("pause", { detail: paused }));
  connect();
}

pause?.addEventListener("click", () => setPaused(!paused));
document.addEventListener("visibilitychange", connect);
// The browser keeps the page as it was, with a stream that has ended.
addEventListener("pageshow", (event) => event.persisted && connect());
addEventListener("pagehide", () => stream?.close());
connect();

// ---- filters: each change shows at once, and is in the address

const filter = document.querySelector("[data-filter]");
let typing = 0;

function applyFilter() {
  const given = new URLSearchParams();
  for (const [name, value] of new FormData(filter)) {
    if (value && !(name === "size" && value === "50")) given.append(name, value);
  }
  const query = given.size ? `?${given}` : "";
  history.replaceState(null, "", location.pathname + query);
  const address = new URL(view.dataset.live, location.href);
  view.dataset.live = address.pathname + query;
  connect();
}

filter?.addEventListener("submit", (event) => {
  if (paused) return;
  event.preventDefault();
  applyFilter();
});
filter?.addEventListener("input", () => {
  clearTimeout(typing);
  if (!paused) typing = setTimeout(applyFilter, 200);
});

// ---- keys

const keys = document.querySelector("[data-keys-dialog]");
const keysOn = document.querySelector("[data-keys-on]");
keysOn.checked = remember("keys") !== "off";
keysOn.addEventListener("change", () => remember("keys", keysOn.checked ? null : "off"));
document.querySelector("[data-keys]")?.addEventListener("click", () => keys.showModal());

function go(step) {
  const links = [...document.querySelectorAll(".jobs tbody .c-job a")];
  if (!links.length) return;
  const at = links.indexOf(document.activeElement);
  links[Math.min(Math.max(at + step, 0), links.length - 1)].focus();
}

const KEYS = {
  "/": () => document.querySelector("[data-first]")?.focus(),
  j: () => go(1),
  k: () => go(-1),
  p: () => pause && setPaused(!paused),
  "?": () => keys.showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    for (const open of document.querySelectorAll("details.ask[open]")) {
      open.open = false;
      open.querySelector("summary").focus();
    }
  }
  const busy = event.target.closest("input, select, textarea, dialog");
  if (busy || event.ctrlKey || event.metaKey || event.altKey || !keysOn.checked) return;
  const act = KEYS[event.key];
  if (act) {
    event.preventDefault();
    act();
  }
});
