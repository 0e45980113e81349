// A run's curves: one chart a quantity, all runs in it, read again as the logs grow.
import { ask, attempt, colour, el, fit, forControl, labelled, whole } from "./page.js";

// Told apart without colour, too: by dashes.
const COLOURS = { light: ["#0b57a4", "#b3261e", "#1a6e3c", "#7b3fa0", "#8a5a00", "#00707a"],
  dark: ["#86bbff", "#ff8a80", "#7ddc9c", "#d7a6f2", "#f0c05a", "#6fd6df"] };
const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3]];
const TITLES = { loss: "loss", pose: "loss of the pose", maps: "loss of the maps", mm: "error in training, mm",
  validation_mm: "error in validation, mm", lr: "learning rate", samples_per_second: "samples a second", waiting: "share of time spent waiting",
  gradient_pose: "gradient of the pose's loss", gradient_maps: "gradient of the maps' loss" };
const FIRST = ["loss", "validation_mm", "mm", "pose", "maps", "lr"];
const EVERY = 3000; // ms

export class CurvesPage {
  constructor(about, main) {
    Object.assign(this, { about, main, logs: about.runs.map(() => ({ columns: [], rows: [], last: -1 })), charts: new Map(), log: false, x: "step" });
  }

  show() {
    this.count = el("span", { class: "count", role: "status" });
    this.logBox = el("input", { type: "checkbox", checked: this.log, onchange: () => { this.log = this.logBox.checked; this.draw(); } });
    const axis = el("select", { onchange: () => { this.x = axis.value; this.draw(); } },
      ...[["step", "steps"], ["epoch", "epochs"], ["seconds", "seconds"]].map(([value, text]) => el("option", { value, text })));
    this.place = el("div", { class: "panels" });
    this.last = el("tbody");
    this.heads = el("tr");
    this.main.replaceChildren(
      el("div", { class: "bar" }, labelled("Over", axis), labelled("Logarithmic", this.logBox), this.count),
      this.place,
      el("h2", { text: "Last numbers" }),
      el("div", { class: "scrolls" }, el("table", {}, el("thead", {}, this.heads), this.last)));
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.place);
    this.keys = (event) => {
      if (forControl(event) || event.key !== "l") return;
      this.logBox.click();
    };
    document.addEventListener("keydown", this.keys);
    this.dark = matchMedia("(prefers-color-scheme: dark)");
    this.dark.addEventListener("change", () => this.draw());
    this.follow();
  }

  hide() {
    clearTimeout(this.timer);
    this.observer.disconnect();
    document.removeEventListener("keydown", this.keys);
  }

  async follow() {
    clearTimeout(this.timer);
    for (let run = 0; run < this.about.runs.length; run++) {
      const found = await attempt(() => ask("log", { run, after: this.logs[run].last }));
      if (!found) return;
      this.take(run, found);
    }
    this.timer = setTimeout(() => this.follow(), EVERY);
  }

  take(run, found) {
    const log = this.logs[run];
    const [rows, width] = found.values.shape;
    if (!rows && log.columns.length) return;
    log.columns = found.columns;
    for (let k = 0; k < rows; k++) {
      log.rows.push(Object.fromEntries(found.columns.map((name, c) => [name, found.values[k * width + c]])));
    }
    log.last = log.rows.at(-1)?.step ?? -1;
    this.list();
    this.draw();
  }

  /** Charts for what the logs hold. */
  list() {
    const names = new Set(this.logs.flatMap((log) => log.columns).filter((name) => !["step", "epoch", "seconds"].includes(name)));
    const has = (name) => this.logs.some((log) => log.rows.some((row) => Number.isFinite(row[name])));
    const order = [...FIRST.filter((n) => names.has(n)), ...[...names].filter((n) => !FIRST.includes(n))].filter(has);
    for (const name of order) {
      if (this.charts.has(name)) continue;
      const canvas = el("canvas", { role: "img", "aria-label": `Curve of ${TITLES[name] ?? name}; its last values are in the table below`,
        onpointermove: (e) => this.pointed(name, e), onpointerleave: () => this.pointed(name, null) });
      const read = el("p", { class: "read" });
      const legend = el("div", { class: "legend" });
      this.charts.set(name, { canvas, read, legend, element: el("section", { class: "chart" }, el("h2", { text: TITLES[name] ?? name }), canvas, legend, read) });
    }
    const elements = order.map((name) => this.charts.get(name).element);
    if (elements.length !== this.place.children.length || elements.some((e, k) => e !== this.place.children[k])) this.place.replaceChildren(...elements);
    this.heads.replaceChildren(el("th", { text: "run" }), ...["step", "epoch", ...order].map((text) => el("th", { class: "number", text })));
    this.last.replaceChildren(...this.logs.map((log, run) => el("tr", {}, el("td", { text: this.about.runs[run] }),
      ...["step", "epoch", ...order].map((name) => el("td", { class: "number", text: short(lastOf(log.rows, name)) })))));
    const rows = this.logs.reduce((n, log) => n + log.rows.length, 0);
    this.count.textContent = rows ? `${whole(rows)} rows of ${this.logs.length === 1 ? "one run" : `${this.logs.length} runs`}, read again every 3 s` : "no rows yet: the run has just begun";
  }

  style(run) {
    const set = COLOURS[getComputedStyle(document.documentElement).colorScheme === "dark" ? "dark" : "light"];
    return { colour: set[run % set.length], dash: DASHES[Math.floor(run / set.length) % DASHES.length] };
  }

  draw() {
    if (!this.place) return;
    for (const name of this.charts.keys()) this.chart(name);
  }

  chart(name) {
    const { canvas, legend } = this.charts.get(name);
    if (!canvas.isConnected || !canvas.clientWidth) return;
    const [width, height, dense] = fit(canvas);
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    const lines = this.logs.map((log) => log.rows.map((row) => [row[this.x], row[name]])
      .filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y) && (!this.log || y > 0)));
    const all = lines.flat();
    if (!all.length) return;
    const bounds = (k) => all.reduce(([low, high], p) => [Math.min(low, p[k]), Math.max(high, p[k])], [Infinity, -Infinity]);
    const [left, right] = bounds(0);
    const low = (v) => (this.log ? Math.log10(v) : v);
    let [bottom, top] = bounds(1).map(low);
    const room = (top - bottom) * 0.06 || Math.abs(top) * 0.1 || 1;
    if (!this.log && bottom >= 0 && bottom - room < 0) bottom = 0; else bottom -= room;
    top += room;
    const font = parseFloat(getComputedStyle(document.documentElement).fontSize) * 0.75 * dense;
    const frame = { x0: font * 4.6, x1: width - font, y0: height - font * 2, y1: font * 0.8 };
    const x = (v) => frame.x0 + ((v - left) / (right - left || 1)) * (frame.x1 - frame.x0);
    const y = (v) => frame.y0 - ((low(v) - bottom) / (top - bottom)) * (frame.y0 - frame.y1);
    context.font = `${font}px system-ui, sans-serif`;
    context.lineWidth = dense;
    context.strokeStyle = colour("line");
    context.fillStyle = colour("soft");
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (const tick of ticks(bottom, top, this.log ? 3 : 4)) {
      const value = this.log ? 10 ** tick : tick;
      const at = y(value);
      context.beginPath();
      context.moveTo(frame.x0, at);
      context.lineTo(frame.x1, at);
      context.stroke();
      context.fillText(short(value), frame.x0 - font * 0.5, at);
    }
    context.textBaseline = "top";
    context.textAlign = "center";
    for (const tick of ticks(left, right, Math.max(2, Math.floor(width / (font * 9))))) context.fillText(short(tick), x(tick), frame.y0 + font * 0.4);
    lines.forEach((points, run) => {
      const { colour: ink, dash } = this.style(run);
      context.strokeStyle = context.fillStyle = ink;
      context.lineWidth = 2 * dense;
      context.setLineDash(dash.map((v) => v * dense));
      context.beginPath();
      points.forEach(([a, b], k) => (k ? context.lineTo(x(a), y(b)) : context.moveTo(x(a), y(b))));
      context.stroke();
      context.setLineDash([]);
      // Few points, as of a validation once an epoch, are seen as points.
      if (points.length <= 40) for (const [a, b] of points) { context.beginPath(); context.arc(x(a), y(b), 3 * dense, 0, 7); context.fill(); }
    });
    this.charts.get(name).axes = { x, lines, frame, dense, left, right };
    legend.replaceChildren(...(this.about.runs.length < 2 ? [] : this.about.runs.map((run, k) => {
      const dot = el("span", { class: "dot" });
      dot.style.backgroundColor = this.style(k).colour;
      return el("span", {}, dot, run);
    })));
  }

  pointed(name, event) {
    const { canvas, read, axes } = this.charts.get(name);
    if (!event || !axes) { read.textContent = ""; return; }
    const at = (event.clientX - canvas.getBoundingClientRect().left) * axes.dense;
    const value = axes.left + ((at - axes.frame.x0) / (axes.frame.x1 - axes.frame.x0)) * (axes.right - axes.left);
    const said = axes.lines.map((points, run) => {
      if (!points.length) return "";
      const near = points.reduce((best, p) => (Math.abs(p[0] - value) < Math.abs(best[0] - value) ? p : best));
      return `${this.about.runs.length > 1 ? `${this.about.runs[run]}: ` : ""}${short(near[1])} at ${this.x} ${short(near[0])}`;
    });
    read.textContent = said.filter(Boolean).join("; ");
  }
}

function lastOf(rows, name) {
  for (let k = rows.length - 1; k >= 0; k--) if (Number.isFinite(rows[k][name])) return rows[k][name];
  return NaN;
}

function short(v) {
  if (!Number.isFinite(v)) return "–";
  if (v !== 0 && (Math.abs(v) < 1e-3 || Math.abs(v) >= 1e7)) return v.toExponential(1);
  return Number(v.toPrecision(4)).toLocaleString("en", { maximumFractionDigits: 6 });
}

function ticks(low, high, count) {
  const rough = (high - low) / Math.max(count, 1) || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((k) => k * power).find((s) => s >= rough);
  const found = [];
  for (let k = Math.ceil(low / step); k * step <= high; k++) found.push(k * step);
  return found;
}

export const CURVE_KEYS = [["L", "logarithmic or not"]];
