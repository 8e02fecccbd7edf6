// Draws the charts, and adds points as they come.

const place = document.querySelector("[data-charts]");
const plots = [];
let paused = false;
let stream = null;
let count = 0;

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function short(value) {
  const size = Math.abs(value);
  for (const [factor, unit] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (size >= factor) return `${+(value / factor).toPrecision(3)}${unit}`;
  }
  return `${+value.toPrecision(3)}`;
}

function duration(seconds) {
  if (seconds === 0) return "0 s";
  if (seconds < 0.1) return `${+(seconds * 1000).toPrecision(2)} ms`;
  if (seconds < 100) return `${+seconds.toPrecision(2)} s`;
  if (seconds < 6000) return `${+(seconds / 60).toPrecision(2)} min`;
  return `${+(seconds / 3600).toPrecision(2)} h`;
}

function write(value, unit) {
  if (value === null || value === undefined) return "–";
  if (unit === "s") return duration(value);
  if (unit === "B/s") return `${short(value)}B/s`;
  return unit ? `${short(value)} ${unit}` : short(value);
}

function options(chart, width) {
  const axis = {
    stroke: css("--muted"),
    grid: { stroke: css("--line"), width: 1 },
    ticks: { show: false },
    font: `11px ${css("--sans")}`,
  };
  return {
    width,
    height: 170,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: { sync: { key: "charts" }, points: { size: 6 }, drag: { x: false, y: false } },
    scales: { y: { range: (_, least, most) => [0, Math.max(chart.top, most > 0 ? most * 1.08 : 1)] } },
    axes: [
      { ...axis, size: 28, values: timeTexts },
      { ...axis, size: 58, values: (_, ticks) => ticks.map((tick) => write(tick, chart.unit)) },
    ],
    series: [
      {},
      ...chart.series.map((label, n) => ({
        label,
        stroke: css(`--s${chart.colours[n]}`),
        width: 1.6,
        points: { show: false },
        spanGaps: false,
      })),
    ],
    hooks: { setCursor: [(plot) => showValues(chart, plot)] },
  };
}

// The server's time zone, as everywhere on the page; the browser's own where it does not know that.
function clock(parts) {
  const given = { ...parts, hourCycle: "h23" };
  try {
    return new Intl.DateTimeFormat("en-GB", { ...given, timeZone: place.dataset.zone });
  } catch {
    return new Intl.DateTimeFormat("en-GB", given);
  }
}

const HOURS = clock({ hour: "2-digit", minute: "2-digit" });
const SECONDS = clock({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAYS = clock({ day: "2-digit", month: "short" });

function timeTexts(_, ticks) {
  const step = ticks.length > 1 ? ticks[1] - ticks[0] : 60;
  const format = step < 60 ? SECONDS : step < 86400 ? HOURS : DAYS;
  return ticks.map((tick) => format.format(new Date(tick * 1000)));
}

// The table has the last values, and while the pointer is on a chart those of that moment.
function showValues(chart, plot) {
  const at = plot.cursor.idx ?? plot.data[0].length - 1;
  chart.keys.forEach((key, n) => {
    const line = plot.figure.querySelector(`[data-series="${key}"]`);
    if (!line) return;
    const known = plot.data[n + 1].filter((value) => value !== null);
    const values = { last: plot.data[n + 1][at], least: Math.min(...known), most: Math.max(...known) };
    for (const [name, value] of Object.entries(values)) {
      line.querySelector(`[data-${name}]`).textContent = write(Number.isFinite(value) ? value : null, chart.unit);
    }
  });
}

function draw(charts) {
  for (const { plot } of plots) plot.destroy();
  plots.length = 0;
  for (const chart of charts) {
    const figure = place.querySelector(`[data-chart="${chart.name}"]`);
    const box = figure?.querySelector(".plot");
    if (!box) continue;
    const plot = new uPlot(options(chart, box.clientWidth || figure.clientWidth - 20), chart.data, box);
    plot.figure = figure;
    plots.push({ chart, plot, box });
  }
}

async function load() {
  const answer = await fetch(place.dataset.charts);
  if (!answer.ok) return;
  const { charts, count: known } = await answer.json();
  count = known;
  draw(charts);
  connect();
}

function add(points) {
  const seconds = Number(place.dataset.seconds);
  for (const { chart, plot } of plots) {
    const data = plot.data.map((column) => [...column]);
    for (const { at, values } of points) {
      data[0].push(at);
      chart.keys.forEach((key, n) => data[n + 1].push(values[key] ?? null));
    }
    const since = data[0].at(-1) - seconds;
    const first = data[0].findIndex((at) => at >= since);
    plot.setData(data.map((column) => column.slice(first)));
    showValues(chart, plot);
  }
  count += points.length;
  const last = new Date(points.at(-1).at * 1000);
  const shown = document.querySelector("[data-now]");
  if (shown) {
    shown.textContent = SECONDS.format(last);
    shown.dateTime = last.toISOString();
  }
  // A series that has its first value now has no line in the table: the server writes it.
  const drawn = new Set(plots.flatMap(({ chart }) => chart.keys));
  const wanted = new Set([...place.querySelectorAll("[data-chart]")].map((figure) => figure.dataset.chart));
  const isNew = points.some(({ values }) => Object.keys(values).some((key) => values[key] && !drawn.has(key)));
  if (isNew && wanted.size) refresh();
}

let refreshed = 0;

// The whole of the page anew, but not again and again for what no chart shows.
async function refresh() {
  if (Date.now() - refreshed < 15000) return;
  refreshed = Date.now();
  const answer = await fetch(location.href);
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const { plot } of plots) plot.destroy();
  plots.length = 0;
  place.replaceChildren(...fresh.querySelector("[data-charts]").childNodes);
  document.querySelector("[data-note]")?.remove();
  await load();
}

function connect() {
  stream?.close();
  stream = null;
  if (!place.dataset.points || paused || document.hidden) return;
  const source = new EventSource(`${place.dataset.points}?after=${count}`);
  stream = source;
  source.addEventListener("points", (event) => add(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    // Points that came meanwhile would be missing if the browser asked again by itself.
    source.close();
    if (stream === source) setTimeout(connect, 5000);
  });
}

addEventListener("resize", () => {
  for (const { plot, box } of plots) plot.setSize({ width: box.clientWidth, height: 170 });
});
document.addEventListener("visibilitychange", () => (document.hidden ? stream?.close() : load()));
document.addEventListener("pause", (event) => {
  paused = event.detail;
  paused ? stream?.close() : load();
});
document.addEventListener("theme", () => draw(plots.map(({ chart, plot }) => ({ ...chart, data: plot.data }))));
addEventListener("pagehide", () => stream?.close());
load();
