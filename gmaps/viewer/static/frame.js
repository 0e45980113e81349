// A frame of a recording or of a tracker at work: depth with the hands in it, the hand in 3D, its joints as numbers.
import { colour, el, fit, labelled } from "./page.js";
import { drawHand, fromValues, paint } from "./colours.js";
import { Solid } from "./solid.js";

const HALF = 120; // mm: half side of the cube that is shown in 3D, or more where hands are apart

export class FrameView {
  constructor(about) {
    this.about = about;
    this.bones = el("input", { type: "checkbox", checked: true, onchange: () => this.draw() });
    const [near, far] = about.range;
    this.near = el("input", { type: "number", min: 0, step: 50, value: near, onchange: () => this.draw() });
    this.far = el("input", { type: "number", min: 0, step: 50, value: far, onchange: () => this.draw() });
    this.controls = [labelled("Joints", this.bones), ...(about.depth ? [labelled("Grey from, mm", this.near), labelled("to", this.far)] : [])];
    this.canvas = el("canvas", { class: "frame", role: "img", "aria-label": "The frame" });
    this.canvas.style.aspectRatio = `${about.width} / ${about.height}`;
    this.solid = new Solid(about);
    this.hands = el("tbody");
    this.joints = el("tbody");
    const head = (...names) => el("thead", {}, el("tr", {}, ...names.map((text) => el("th", { class: /mm|confidence/.test(text) ? "number" : "", text }))));
    this.numbers = [el("h2", { text: "Hands" }),
      el("div", { class: "scrolls" }, el("table", {}, head("hand", "side", "state", "confidence"), this.hands)),
      el("h2", { text: "Joints" }), el("div", { class: "scrolls" }, el("table", {}, head("joint", "x mm", "y mm", "z mm"), this.joints))];
    this.deep = el("section", { class: "panel narrow", "aria-label": "In 3D" }, this.solid.element,
      el("div", { class: "bar" }, el("button", { type: "button", text: "Turn back", onclick: () => { this.solid.reset(); this.solid.draw(); } }),
        el("span", { class: "count", text: "drag to turn; click, then wheel to zoom" })));
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.canvas);
  }

  close() {
    this.observer.disconnect();
    this.solid.close();
  }

  /** Joints on or off. */
  toggle() {
    this.bones.checked = !this.bones.checked;
    this.draw();
  }

  /** `nothing`: what stands where a frame has no hand; `lost`: rows of hands that are looked for. */
  show(frame, nothing = "no hand in this frame", lost = []) {
    this.frame = frame;
    const rows = frame.hands.map((hand) => [hand.number, hand.side, hand.state, hand.confidence === null ? "–" : hand.confidence.toFixed(3)]);
    this.hands.replaceChildren(...[...rows, ...lost].map((row) => el("tr", {}, ...row.map((text, k) => el("td", { class: k === 3 ? "number" : "", text })))),
      ...(rows.length + lost.length ? [] : [el("tr", {}, el("td", { colSpan: 4, text: nothing }))]));
    this.tellJoints();
    this.deep.hidden = !frame.hands.length;
    if (frame.hands.length) this.showDeep(this.around());
    this.draw();
  }

  showDeep(sample) {
    this.solid.show(sample);
    if (!sample.depth) return;
    const [rows, columns] = sample.depth.shape;
    this.solid.paint(fromValues(sample.depth, columns, rows, -1, 1, "grey"));
  }

  tellJoints() {
    const { frame, about } = this;
    const count = about.joints.length;
    this.joints.replaceChildren(...frame.hands.flatMap((hand, h) => about.joints.map((name, j) => {
      const dot = el("span", { class: "dot" });
      dot.style.backgroundColor = about.colours[j];
      const at = 3 * (h * count + j);
      return el("tr", {}, el("td", {}, dot, frame.hands.length > 1 ? `${hand.number}: ${name}` : name),
        ...[0, 1, 2].map((c) => el("td", { class: "number", text: Number.isFinite(frame.joints[at + c]) ? frame.joints[at + c].toFixed(1) : "–" })));
    })));
  }

  /** What lies in a cube around the hands, as `Solid` shows it. */
  around() {
    const { frame, about } = this;
    const low = [Infinity, Infinity, Infinity];
    const high = low.map((v) => -v);
    frame.joints.forEach((v, k) => { if (Number.isFinite(v)) { low[k % 3] = Math.min(low[k % 3], v); high[k % 3] = Math.max(high[k % 3], v); } });
    const middle = low.map((v, k) => (v + high[k]) / 2);
    const half = Math.max(HALF, ...low.map((v, k) => (high[k] - v) / 2 + 20));
    const made = { cube: [...middle, half], joints: frame.joints };
    const nearest = middle[2] - half;
    if (!frame.depth || !(nearest > 0)) return made;
    const [fx, fy, cx, cy] = about.lens;
    const inside = (v, most) => Math.max(0, Math.min(most, v));
    const span = (f, c, m, most) => [inside(Math.floor(Math.min((m - half) / nearest, (m - half) / (middle[2] + half)) * f + c), most),
      inside(Math.ceil(Math.max((m + half) / nearest, (m + half) / (middle[2] + half)) * f + c) + 1, most)];
    const [left, right] = span(fx, cx, middle[0], about.width);
    const [top, bottom] = span(fy, cy, middle[1], about.height);
    const [rows, columns] = [Math.max(0, bottom - top), Math.max(0, right - left)];
    const depth = Object.assign(new Float32Array(rows * columns), { shape: [rows, columns] });
    const hand = new Uint8Array(rows * columns);
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < columns; c++) {
        const z = frame.depth[(r + top) * about.width + c + left];
        const x = ((c + left - cx) / fx) * z;
        const y = ((r + top - cy) / fy) * z;
        const i = r * columns + c;
        depth[i] = (z - middle[2]) / half;
        hand[i] = z > 0 && Math.max(Math.abs(x - middle[0]), Math.abs(y - middle[1]), Math.abs(z - middle[2])) < half;
      }
    }
    return { ...made, depth, hand, lens: [fx, fy, cx - left, cy - top] };
  }

  draw() {
    const f = this.frame;
    if (!f || !this.canvas.isConnected) return;
    const [width, height, dense] = fit(this.canvas);
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    if (f.depth) {
      const [rows, columns] = f.depth.shape;
      paint(context, fromValues(f.depth, columns, rows, Number(this.near.value), Number(this.far.value), "grey", (i) => f.depth[i] > 0), 0, 0, width, height);
    }
    this.solid.joints = this.bones.checked;
    this.solid.draw();
    if (!this.bones.checked) return;
    const [sx, sy] = [width / this.about.width, height / this.about.height];
    f.hands.forEach((hand, h) => {
      const at = (j) => {
        const i = 3 * (h * this.about.joints.length + j);
        return Number.isFinite(f.uvd[i]) ? [(f.uvd[i] + 0.5) * sx, (f.uvd[i + 1] + 0.5) * sy] : null;
      };
      drawHand(context, at, this.about, 4.5 * dense);
      this.label(context, hand, this.about.joints.map((_, j) => at(j)).filter(Boolean), width, dense);
    });
  }

  label(context, hand, points, width, dense) {
    if (!points.length) return;
    const font = parseFloat(getComputedStyle(document.documentElement).fontSize) * 0.9 * dense;
    const text = `${hand.side} hand ${hand.number}, ${hand.state}, ${hand.confidence === null ? "–" : hand.confidence.toFixed(2)}`;
    context.font = `600 ${font}px system-ui, sans-serif`;
    const x = Math.max(4, Math.min(width - context.measureText(text).width - 4, Math.min(...points.map((p) => p[0]))));
    const y = Math.max(font * 1.2, Math.min(...points.map((p) => p[1])) - font * 0.8);
    context.lineWidth = font * 0.3;
    context.strokeStyle = "#000000";
    context.lineJoin = "round";
    context.strokeText(text, x, y);
    context.fillStyle = "#ffffff";
    context.fillText(text, x, y);
  }
}

export const STRIP = "The strip: confidence, 0 to 1; filled where a hand was followed, hatched where it was found, bare where there was none.";

/** Confidence of many frames, the one that is shown marked. */
export function drawStrip(canvas, confidence, state, shown = null) {
  const [width, height, dense] = fit(canvas);
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, width, height);
  const frames = confidence.length || 1;
  const ink = [null, colour("mark"), colour("good")];
  for (let x = 0; x < width; x++) {
    // Of frames that share a column the one that is least sure is seen.
    const [from, to] = [Math.floor((x * frames) / width), Math.max(Math.floor((x * frames) / width) + 1, Math.floor(((x + 1) * frames) / width))];
    let worst = from;
    for (let k = from; k < to; k++) if (!state[k] || (state[worst] && confidence[k] < confidence[worst])) worst = k;
    if (!state[worst]) continue;
    context.fillStyle = ink[state[worst]];
    const tall = Math.round(Math.max(2 * dense, confidence[worst] * (height - 4 * dense)));
    if (state[worst] === 2) context.fillRect(x, height - tall, 1, tall);
    else for (let y = height - tall; y < height; y++) if ((x + y) % 4 < 2) context.fillRect(x, y, 1, 1);
  }
  if (shown === null) return;
  const at = ((shown + 0.5) / frames) * width;
  context.strokeStyle = colour("ink");
  context.lineWidth = 2 * dense;
  context.beginPath();
  context.moveTo(at, 0);
  context.lineTo(at, height);
  context.stroke();
}
