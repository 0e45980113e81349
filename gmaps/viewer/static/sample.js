// One sample large: its picture with any map, its surface in 3D, its joints as numbers.
import { ask, attempt, choose, colour, el, fit, forControl, labelled, mm, place, say, setPlace, whole } from "./page.js";
import { drawHand, drawMisses, fromRgb, fromValues, inPicture, paint, paintScale } from "./colours.js";
import { Solid } from "./solid.js";

const LINES = 20; // mm between lines of equal distance

export class SamplePage {
  constructor(about, main, grid) {
    Object.assign(this, { about, main, grid, kind: about.flat ? "color" : "depth", channel: 0, geodesic: false, along: "surface" });
    this.kinds = null;
  }

  show() {
    this.build();
    this.keys = (event) => this.pressed(event);
    document.addEventListener("keydown", this.keys);
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.stack);
    this.follow();
    attempt(async () => {
      this.kinds ??= (await ask("kinds")).kinds;
      this.listKinds();
      this.takeMap();
    });
  }

  hide() {
    document.removeEventListener("keydown", this.keys);
    this.observer.disconnect();
    this.solid.close();
    clearTimeout(this.timer);
    this.row = undefined;
  }

  /** What the address says. */
  follow() {
    const from = place();
    if (from.kind && from.kind !== this.kind) {
      this.kind = from.kind;
      this.channel = 0;
    }
    if (from.channel) this.channel = Number(from.channel);
    this.open(Number(from.row));
  }

  build() {
    const a = this.about;
    this.where = el("span", { class: "count", role: "status" });
    this.before = el("button", { type: "button", text: "← Previous", onclick: () => this.move(-1) });
    this.after = el("button", { type: "button", text: "Next →", onclick: () => this.move(1) });
    this.pick = el("select", { onchange: () => this.choose(this.pick.value, 0) });
    this.part = el("select", { "aria-label": "Channel", onchange: () => this.choose(this.kind, this.part.selectedIndex) });
    this.bones = el("input", { type: "checkbox", checked: true, onchange: () => this.draw() });
    this.guess = el("input", { type: "checkbox", checked: true, onchange: () => this.draw() });
    this.ask = el("input", { type: "checkbox", checked: this.geodesic, onchange: () => this.setGeodesic(this.ask.checked) });
    const along = choose([["surface", "along the surface"], ["plane", "in the silhouette"]], this.along, (v) => {
      this.along = v;
      this.askGeodesic();
    });
    along.setAttribute("aria-label", "Geodesic");
    this.canvas = el("canvas", { tabindex: 0, role: "img", "aria-label": "Picture of the sample; with the geodesic on, arrow keys move its start",
      onpointermove: (e) => this.pointed(e), onpointerleave: () => this.left(), onpointerdown: (e) => this.clicked(e),
      onkeydown: (e) => this.steered(e) });
    this.stack = el("div", { class: "stack" }, this.canvas);
    this.scale = el("canvas", { height: 1 });
    this.low = el("span");
    this.high = el("span");
    this.read = el("p", { class: "read" });
    this.solid = new Solid(a);
    const shape = el("button", { type: "button", text: "Points", "aria-pressed": "false", onclick: () => {
      this.solid.mesh = !this.solid.mesh;
      shape.setAttribute("aria-pressed", String(!this.solid.mesh));
      this.solid.draw();
    } });
    this.shape = shape;
    this.facts = el("dl");
    this.table = el("tbody");
    this.picture = el("section", { class: "panel", "aria-label": "Picture" }, this.stack,
      el("div", { class: "scale" }, this.low, this.scale, this.high), this.read);
    this.deep = el("section", { class: "panel", "aria-label": "In 3D" }, this.solid.element,
      el("div", { class: "bar" }, shape, el("button", { type: "button", text: "Turn back", onclick: () => { this.solid.reset(); this.solid.draw(); } }),
        el("span", { class: "count", text: "drag to turn; click, then wheel to zoom" })));
    this.numbers = el("section", { class: "panel narrow", "aria-label": "Numbers" }, this.facts,
      el("div", { class: "scrolls" }, el("table", {},
        el("thead", {}, el("tr", {}, el("th", { text: "joint" }),
          ...["x mm", "y mm", "z mm", ...(a.predicted === null ? [] : ["error mm"])].map((t) => el("th", { class: "number", text: t })))),
        this.table)));
    this.controls = el("div", { class: "bar" }, labelled("Picture", this.pick), this.part, labelled("Joints", this.bones),
      a.predicted === null ? null : labelled("Prediction", this.guess),
      a.flat ? null : labelled("Geodesic from the pointer", this.ask), a.flat ? null : along);
    this.panels = el("div", { class: "panels" }, this.picture, a.flat ? null : this.deep, this.numbers);
    this.main.replaceChildren(
      el("div", { class: "bar" }, el("a", { href: this.back(), text: "Back to the grid" }), this.before, this.after, this.where),
      this.controls, this.panels);
    this.listKinds();
  }

  back() {
    return `#${new URLSearchParams(this.grid.changed())}`;
  }

  listKinds() {
    const own = [...(this.about.flat ? [] : [["depth", "depth"]]), ...(this.about.colored ? [["color", "colour"]] : [])];
    const group = (label, kinds) => (kinds.length ? el("optgroup", { label }, ...kinds.map(([value, text]) => el("option", { value, text }))) : null);
    const maps = (stored) => (this.kinds ?? []).filter((k) => k.stored === stored).map((k) => [k.name, k.name]);
    this.pick.replaceChildren(...[group("what was seen", own), group("maps of the store", maps(true)), group("maps computed now", maps(false))].filter(Boolean));
    this.pick.value = this.kind;
    if (this.pick.selectedIndex < 0 && this.kinds) {
      this.kind = own[0][0];
      this.pick.value = this.kind;
    }
    this.listChannels();
  }

  listChannels() {
    const kind = this.kinds?.find((k) => k.name === this.kind);
    const names = kind?.channels ?? [];
    this.part.hidden = names.length < 2;
    this.part.replaceChildren(...names.map((text, k) => el("option", { value: k, text })));
    this.channel = Math.max(0, Math.min(this.channel, Math.max(0, names.length - 1)));
    this.part.selectedIndex = names.length ? this.channel : -1;
  }

  choose(kind, channel) {
    const perJoint = (name) => this.kinds?.find((k) => k.name === name)?.per_joint;
    // From one map of the joints to another, the joint stays.
    this.channel = kind !== this.kind && perJoint(kind) && perJoint(this.kind) ? this.channel : channel;
    this.kind = kind;
    this.setGeodesic(false);
    this.pick.value = kind;
    this.listChannels();
    this.write();
    this.takeMap();
  }

  write() {
    const plain = this.about.flat ? "color" : "depth";
    setPlace({ row: this.row, ...this.grid.changed(), kind: this.kind === plain ? "" : this.kind, channel: this.channel || "" });
  }

  async open(row) {
    if (!Number.isInteger(row) || row < 0 || row >= this.about.rows) {
      say(`There is no row ${row}: this store has rows 0 to ${whole(this.about.rows - 1)}.`, true);
      return;
    }
    if (row === this.row) return;
    this.row = row;
    this.map = this.field = null;
    const sample = await attempt(() => ask("sample", { row }));
    if (!sample || this.row !== row) return;
    say();
    this.sample = sample;
    document.title = `row ${row} · gmaps view`;
    this.write();
    this.solid.show(sample.valid ? sample : null);
    this.tell();
    this.takeMap();
    const at = await attempt(() => ask("place", { row, ...this.grid.asked }));
    if (!at || this.row !== row) return;
    this.position = at.place;
    this.of = at.of;
    this.where.textContent = at.place < 0 ? `row ${whole(row)}, which the grid leaves out` : `row ${whole(row)}: ${whole(at.place + 1)} of ${whole(at.of)}`;
    this.before.disabled = at.place <= 0;
    this.after.disabled = at.place < 0 || at.place + 1 >= at.of;
    if (this.about.predicted !== null && sample.valid && !sample.predicted) this.wait();
  }

  /** A network may not be loaded yet. */
  wait() {
    clearTimeout(this.timer);
    this.timer = setTimeout(async () => {
      const row = this.row;
      const now = await attempt(() => ask("progress"));
      if (!now || this.row !== row || now.problem) { if (now?.problem) say(now.problem, true); return; }
      if (now.done >= now.of) return;
      const sample = await attempt(() => ask("sample", { row }));
      if (!sample || this.row !== row) return;
      if (!sample.predicted) { this.wait(); return; }
      this.sample = sample;
      this.solid.show(sample);
      this.tell();
      this.paintAll();
    }, 1000);
  }

  async move(step) {
    if (this.position === undefined || this.position < 0) return;
    const from = this.position + step;
    if (from < 0 || from >= this.of) return;
    const found = await attempt(() => ask("tiles", { ...this.grid.asked, from, count: 1, pixels: 1 }));
    if (found?.rows.length) this.open(found.rows[0]);
  }

  tell() {
    const s = this.sample;
    const facts = [["row", whole(s.row)], ["frame", whole(s.frame)], ["subject", s.subject], ["sequence", s.sequence]];
    this.panels.hidden = this.controls.hidden = !s.valid;
    if (!s.valid) {
      say(`Row ${whole(s.row)} (frame ${whole(s.frame)}) was rejected: ${s.reason || "it holds no hand"}`, true);
      return;
    }
    const [x, y, z, half] = s.cube;
    facts.push(this.about.flat ? ["box", `(${mm(x)}, ${mm(y)}) px, half side ${mm(half)} px`]
      : ["cube", `(${mm(x)}, ${mm(y)}, ${mm(z)}) mm, half side ${mm(half)} mm`]);
    if (this.about.predicted !== null) facts.push(["prediction", this.about.predicted], ["mean error", s.error === undefined ? "not yet known" : `${mm(s.error)} mm`]);
    this.facts.replaceChildren(...facts.flatMap(([k, v]) => [el("dt", { text: k }), el("dd", { text: v })]));
    this.table.replaceChildren(...this.about.joints.map((name, j) => {
      const xyz = [0, 1, 2].map((c) => s.joints[3 * j + c]);
      const k = s.predicted ? this.about.evaluated.indexOf(j) : -1;
      const error = k < 0 ? null : Math.hypot(...xyz.map((v, c) => v - s.predicted[3 * k + c]));
      const dot = el("span", { class: "dot" });
      dot.style.backgroundColor = this.about.colours[j];
      return el("tr", {}, el("td", {}, dot, name), ...xyz.map((v) => el("td", { class: "number", text: mm(v) })),
        this.about.predicted === null ? null : el("td", { class: "number", text: mm(error) }));
    }));
  }

  /** The map that is chosen, if it is one. */
  async takeMap() {
    const { row, kind, channel } = this;
    if (!this.sample?.valid || this.sample.row !== row) return;
    if (kind === "depth" || kind === "color") {
      this.map = null;
      this.paintAll();
      return;
    }
    if (!this.kinds) return;
    const slow = setTimeout(() => say(`${kind} is being computed; the first of its kind may take a minute …`), 700);
    const found = await attempt(() => ask("map", { row, kind, channel }));
    clearTimeout(slow);
    if (!found || row !== this.row || kind !== this.kind || channel !== this.channel) return;
    say();
    this.map = found;
    this.paintAll();
  }

  /** The picture's pixels, and what its scale says. */
  makeImage() {
    const s = this.sample;
    if (this.field) {
      const [size] = [this.field.mm.shape[0]];
      const image = fromValues(this.field.mm, size, size, this.field.far, 0, "viridis");
      ruled(image, this.field.mm, size);
      return { image, name: "viridis", low: `${mm(this.field.far, 0)} mm`, high: "0 mm", aligned: true };
    }
    if (this.map) {
      const m = this.map;
      const [height, width] = m.values.shape;
      const seen = m.hand && !m.background ? (i) => m.hand[i] || m.values[i] > 1e-3 : null;
      const name = m.signed ? "signed" : "viridis";
      const image = fromValues(m.values, width, height, m.low, m.high, name, seen);
      const unit = m.unit ? ` ${m.unit}` : "";
      return { image, name, low: `${number(m.low)}${unit}`, high: `${number(m.high)}${unit}${m.scale ? ` (1 is ${mm(m.scale, 0)} mm)` : ""}`, aligned: Boolean(m.hand) };
    }
    if (this.kind === "color" && s.color) {
      const [height, width] = s.color.shape;
      return { image: fromRgb(s.color, width, height), name: null, aligned: true };
    }
    const size = s.depth.shape[0];
    const [low, high] = spanOf(s);
    const half = s.cube[3];
    return { image: fromValues(s.depth, size, size, low, high, "grey", (i) => s.hand[i]), name: "grey",
      low: `${mm(low * half + s.cube[2], 0)} mm`, high: `${mm(high * half + s.cube[2], 0)} mm`, aligned: true };
  }

  paintAll() {
    if (!this.sample?.valid) return;
    this.shown = this.makeImage();
    const { name, low, high, aligned, image } = this.shown;
    this.scale.parentElement.style.visibility = name ? "visible" : "hidden";
    if (name) paintScale(this.scale, name);
    this.low.textContent = low ?? "";
    this.high.textContent = high ?? "";
    this.draw();
    if (aligned) this.solid.paint(image);
  }

  draw() {
    if (!this.shown || !this.sample?.valid) return;
    const [width, height, dense] = fit(this.canvas);
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    paint(context, this.shown.image, 0, 0, width, height);
    const s = this.sample;
    const size = Math.max(5, width / dense / 90) * dense;
    if (this.shown.aligned) {
      const at = inPicture(s.true, width, height);
      if (this.bones.checked) drawHand(context, at, this.about, size);
      if (s.found && this.guess.checked) {
        const order = this.about.evaluated;
        const found = inPicture(s.found, width, height);
        drawMisses(context, at, (j) => (order.indexOf(j) < 0 ? null : found(order.indexOf(j))), this.about.joints.length, size);
      }
      const kind = this.kinds?.find((k) => k.name === this.kind);
      const p = this.map && kind?.per_joint ? at(this.channel) : null;
      if (p) ring(context, p, size * 1.6, colour("mark"));
    }
    if (this.field) ring(context, inPicture(this.field.at.map((v) => (v + 0.5) / s.depth.shape[0]), width, height)(0), size, colour("mark"));
    this.solid.joints = this.bones.checked;
    this.solid.guess = this.guess.checked;
    this.solid.draw();
  }

  // The pointer.

  at(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width];
  }

  pointed(event) {
    if (!this.sample?.valid || !this.shown) return;
    const [v, u] = this.at(event);
    const s = this.sample;
    const size = s.depth.shape[0];
    const inside = (x) => Math.max(0, Math.min(size - 1, Math.floor(x * size)));
    const [r, c] = [inside(v), inside(u)];
    const parts = [`row ${r}, column ${c}`];
    const i = r * size + c;
    if (!this.about.flat) parts.push(s.hand[i] ? `${mm(s.depth[i] * s.cube[3] + s.cube[2])} mm away` : "no hand");
    if (this.map) {
      const [height, width] = this.map.values.shape;
      const value = this.map.values[Math.min(height - 1, Math.floor(v * height)) * width + Math.min(width - 1, Math.floor(u * width))];
      if (value !== undefined) parts.push(`${this.kind} ${number(value)}${this.map.unit ? ` ${this.map.unit}` : ""}`);
    }
    if (this.field) {
      const value = this.field.mm[i];
      parts.push(Number.isFinite(value) ? `${mm(value)} mm from the ring` : "not to be reached");
    }
    this.read.textContent = parts.join("; ");
    if (this.geodesic && !this.pinned) this.askGeodesic([v * size - 0.5, u * size - 0.5]);
  }

  left() {
    this.read.textContent = this.geodesic && !this.pinned ? "Click pins the start; a further click lets it go." : "";
  }

  clicked(event) {
    if (!this.geodesic) return;
    this.pinned = !this.pinned;
    this.pointed(event);
  }

  steered(event) {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!step || !this.geodesic) return;
    event.preventDefault();
    event.stopPropagation();
    const size = this.sample.depth.shape[0];
    const far = event.shiftKey ? 10 : 2;
    const from = this.start ?? [size / 2, size / 2];
    this.askGeodesic(from.map((x, k) => Math.max(0, Math.min(size - 1, x + far * step[k]))));
  }

  setGeodesic(on) {
    this.geodesic = this.ask.checked = on;
    this.pinned = false;
    if (!on && this.field) {
      this.field = null;
      this.paintAll();
    } else if (on) {
      const joints = this.sample?.true;
      const size = this.sample?.depth?.shape[0];
      if (joints && size) this.askGeodesic([joints[0] * size - 0.5, joints[1] * size - 0.5]);
    }
  }

  /** One question at a time; of those that come meanwhile the last is asked then. */
  async askGeodesic(start = this.start) {
    if (!start || !this.geodesic) return;
    this.start = start;
    if (this.busy) { this.again = true; return; }
    this.busy = true;
    const { row } = this;
    const slow = setTimeout(() => say("The solver is being compiled; that is once after an installation, up to a minute …"), 1500);
    const found = await attempt(() => ask("geodesic", { row, r: start[0], c: start[1], along: this.along }));
    clearTimeout(slow);
    this.busy = false;
    if (found && row === this.row && this.geodesic) {
      if (document.getElementById("status").className !== "bad") say();
      this.field = found;
      this.paintAll();
    }
    if (this.again) {
      this.again = false;
      this.askGeodesic();
    }
  }

  pressed(event) {
    if (forControl(event)) return;
    const step = { ArrowLeft: -1, ArrowRight: 1, j: 1, k: -1 }[event.key];
    if (step) this.move(step);
    else if (event.key === "Escape") location.hash = this.back();
    else if (event.key === "g" && !this.about.flat) this.setGeodesic(!this.geodesic);
    else if (event.key === "b") { this.bones.checked = !this.bones.checked; this.draw(); }
    else if (event.key === "p" && this.about.predicted !== null) { this.guess.checked = !this.guess.checked; this.draw(); }
    else if (event.key === "m" && this.kinds) this.step(this.pick, (k) => this.choose(this.pick.options[k].value, 0));
    else if (event.key === "n" && !this.part.hidden) this.step(this.part, (k) => this.choose(this.kind, k));
    else if (event.key === "x") this.shape.click();
    else return;
    event.preventDefault();
  }

  step(select, take) {
    take((select.selectedIndex + 1) % select.options.length);
  }
}

/** Nearest and farthest depth of the hand, in the cube's units. */
function spanOf(s) {
  let [low, high] = [Infinity, -Infinity];
  for (let i = 0; i < s.depth.length; i++) {
    if (!s.hand[i]) continue;
    low = Math.min(low, s.depth[i]);
    high = Math.max(high, s.depth[i]);
  }
  return low <= high ? [low, high] : [-1, 1];
}

/** Lines of equal distance, where the next pixel lies beyond. */
function ruled(image, values, size) {
  const line = (i) => Math.floor(values[i] / LINES);
  for (let r = 0; r + 1 < size; r++) {
    for (let c = 0; c + 1 < size; c++) {
      const i = r * size + c;
      if (!Number.isFinite(values[i])) continue;
      const crosses = [i + 1, i + size].some((j) => Number.isFinite(values[j]) && line(j) !== line(i));
      if (crosses) for (let k = 0; k < 3; k++) image.data[4 * i + k] *= 0.45;
    }
  }
}

function ring(context, p, radius, style) {
  if (!p) return;
  for (const [colour, wide] of [["#ffffff", 0.5], [style, 0.28]]) {
    context.strokeStyle = colour;
    context.lineWidth = radius * wide;
    context.beginPath();
    context.arc(...p, radius, 0, 2 * Math.PI);
    context.stroke();
  }
}

const number = (v) => (Math.abs(v) >= 100 ? v.toFixed(0) : v.toFixed(Math.abs(v) >= 10 ? 1 : 3));

export const SAMPLE_KEYS = [["← → or K J", "previous and next sample"], ["M", "next picture: depth, colour, maps"], ["N", "next channel: joint by joint"],
  ["G", "geodesic from the pointer; with the picture chosen, arrow keys move its start, Shift faster"], ["B", "joints on or off"],
  ["P", "prediction on or off"], ["X", "points or mesh; with the 3D view chosen: arrow keys turn, + − zoom, 0 turns back"], ["Esc", "back to the grid"]];
