// A recording, frame by frame: depth, hands with state and confidence, and the course of all frames.
import { ask, attempt, colour, el, fit, forControl, labelled, place, say, setPlace, whole } from "./page.js";
import { drawHand, fromValues, paint } from "./colours.js";

const STATES = ["no hand", "found", "tracking"];

export class RecordingPage {
  constructor(about, main) {
    Object.assign(this, { about, main, k: 0, playing: false });
  }

  show() {
    const a = this.about;
    this.range = el("input", { type: "range", min: 0, max: Math.max(0, a.frames - 1), value: 0, "aria-label": "Frame", oninput: () => this.open(Number(this.range.value)) });
    this.playButton = el("button", { type: "button", text: "Play", onclick: () => this.play(!this.playing) });
    this.bones = el("input", { type: "checkbox", checked: true, onchange: () => this.draw() });
    this.near = el("input", { type: "number", min: 0, step: 50, value: 100, onchange: () => this.draw() });
    this.far = el("input", { type: "number", min: 0, step: 50, value: 1500, onchange: () => this.draw() });
    this.where = el("span", { class: "count", role: "status" });
    this.canvas = el("canvas", { class: "frame", role: "img", "aria-label": "The frame" });
    this.canvas.style.aspectRatio = `${a.width} / ${a.height}`;
    this.time = el("canvas", { class: "time", role: "img", "aria-label": "Confidence in every frame; a click goes there",
      onpointerdown: (e) => this.sought(e), onpointermove: (e) => e.buttons && this.sought(e) });
    this.hands = el("tbody");
    this.joints = el("tbody");
    const head = (...names) => el("thead", {}, el("tr", {}, ...names.map((text, k) => el("th", { class: k && /mm|confidence|number/.test(text) ? "number" : "", text }))));
    this.main.replaceChildren(
      el("div", { class: "bar" }, this.playButton, el("button", { type: "button", text: "← Back", onclick: () => this.open(this.k - 1) }),
        el("button", { type: "button", text: "On →", onclick: () => this.open(this.k + 1) }), labelled("Joints", this.bones),
        a.depth ? labelled("Grey from, mm", this.near) : null, a.depth ? labelled("to", this.far) : null, this.where),
      el("div", { class: "panels" },
        el("section", { class: "panel", "aria-label": "Frame" }, this.canvas, this.range, this.time,
          el("p", { class: "read", text: a.tracked ? "The strip: confidence, 0 to 1; filled where a hand was followed, hatched where it was found, bare where there was none."
            : "No hands: give the file of gmaps track --out as --predictions." })),
        a.tracked ? el("section", { class: "panel narrow", "aria-label": "Hands" }, el("h2", { text: "Hands" }),
          el("div", { class: "scrolls" }, el("table", {}, head("hand", "side", "state", "confidence"), this.hands)),
          el("h2", { text: "Joints" }), el("div", { class: "scrolls" }, el("table", {}, head("joint", "x mm", "y mm", "z mm"), this.joints))) : null));
    this.keys = (event) => this.pressed(event);
    document.addEventListener("keydown", this.keys);
    this.observer = new ResizeObserver(() => { this.draw(); this.drawTime(); });
    this.observer.observe(this.canvas);
    attempt(async () => {
      this.course = await ask("course");
      this.drawTime();
    });
    this.follow();
  }

  hide() {
    this.play(false);
    document.removeEventListener("keydown", this.keys);
    this.observer.disconnect();
  }

  follow() {
    this.open(Number(place().frame ?? 0));
  }

  /** One question at a time; of the frames that are wished meanwhile the last is asked for then. */
  async open(k) {
    if (!this.about.frames) { say("This recording holds no frame.", true); return; }
    if (!Number.isInteger(k)) { say(`There is no frame ${k}.`, true); return; }
    this.k = Math.max(0, Math.min(this.about.frames - 1, k));
    this.range.value = this.k;
    if (this.busy) { this.again = true; return; }
    this.busy = true;
    const found = await attempt(() => ask("frame", { k: this.k }));
    this.busy = false;
    if (found) {
      this.frame = found;
      setPlace({ frame: found.k || "" });
      this.tell();
      this.draw();
      this.drawTime();
    } else this.play(false);
    if (this.again) {
      this.again = false;
      await this.open(this.k);
    }
  }

  async play(on) {
    this.playing = on;
    this.playButton.textContent = on ? "Stop" : "Play";
    if (!on) return;
    if (this.k + 1 >= this.about.frames) this.k = -1;
    while (this.playing && this.k + 1 < this.about.frames) {
      const began = performance.now();
      const [now, next] = [this.course?.time[Math.max(0, this.k)], this.course?.time[this.k + 1]];
      await this.open(this.k + 1);
      const gap = 1000 * Math.min(1, Math.max(0, next - now || 1 / 30));
      await new Promise((done) => setTimeout(done, Math.max(0, gap - (performance.now() - began))));
    }
    if (this.playing) this.play(false);
  }

  tell() {
    const f = this.frame;
    const time = this.course?.time[f.k];
    this.where.textContent = `frame ${whole(f.k)} of ${whole(this.about.frames)}: ${f.frame}${Number.isFinite(time) ? `, ${(time - this.course.time[0]).toFixed(2)} s` : ""}`;
    if (!this.about.tracked) return;
    this.hands.replaceChildren(...(f.hands.length ? f.hands.map((hand) => el("tr", {}, el("td", { text: hand.number }), el("td", { text: hand.side }),
      el("td", { text: hand.state }), el("td", { class: "number", text: hand.confidence === null ? "–" : hand.confidence.toFixed(3) })))
      : [el("tr", {}, el("td", { colSpan: 4, text: "no hand in this frame" }))]));
    const many = f.hands.length > 1;
    this.joints.replaceChildren(...f.hands.flatMap((hand, h) => this.about.joints.map((name, j) => {
      const dot = el("span", { class: "dot" });
      dot.style.backgroundColor = this.about.colours[j];
      const at = 3 * (h * this.about.joints.length + j);
      return el("tr", {}, el("td", {}, dot, many ? `${hand.number}: ${name}` : name),
        ...[0, 1, 2].map((c) => el("td", { class: "number", text: Number.isFinite(f.joints[at + c]) ? f.joints[at + c].toFixed(1) : "–" })));
    })));
  }

  draw() {
    const f = this.frame;
    if (!f) return;
    const [width, height, dense] = fit(this.canvas);
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    if (f.depth) {
      const [rows, columns] = f.depth.shape;
      paint(context, fromValues(f.depth, columns, rows, Number(this.near.value), Number(this.far.value), "grey", (i) => f.depth[i] > 0), 0, 0, width, height);
    }
    if (!this.bones.checked) return;
    const [sx, sy] = [width / this.about.width, height / this.about.height];
    f.hands.forEach((hand, h) => {
      const at = (j) => {
        const i = 3 * (h * this.about.joints.length + j);
        return Number.isFinite(f.uvd[i]) ? [(f.uvd[i] + 0.5) * sx, (f.uvd[i + 1] + 0.5) * sy] : null;
      };
      drawHand(context, at, this.about, 4.5 * dense);
      const points = this.about.joints.map((_, j) => at(j)).filter(Boolean);
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
    });
  }

  drawTime() {
    if (!this.course) return;
    const [width, height, dense] = fit(this.time);
    const context = this.time.getContext("2d");
    context.clearRect(0, 0, width, height);
    const { confidence, state } = this.course;
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
      for (let y = height - tall; y < height; y++) if (state[worst] === 2 || (x + Math.floor(y)) % 4 < 2) context.fillRect(x, y, 1, 1);
    }
    const at = ((this.k + 0.5) / frames) * width;
    context.strokeStyle = colour("ink");
    context.lineWidth = 2 * dense;
    context.beginPath();
    context.moveTo(at, 0);
    context.lineTo(at, height);
    context.stroke();
    this.time.setAttribute("aria-label", `Confidence in every frame; now frame ${this.k}: ${STATES[state[this.k]] ?? ""}`);
  }

  sought(event) {
    const box = this.time.getBoundingClientRect();
    this.open(Math.floor(((event.clientX - box.left) / box.width) * this.about.frames));
  }

  pressed(event) {
    if (forControl(event) && event.target !== this.range) return;
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -30, PageDown: 30, Home: -this.about.frames, End: this.about.frames }[event.key];
    if (step) this.open(this.k + step);
    else if (event.key === " " && !(event.target instanceof HTMLButtonElement)) this.play(!this.playing);
    else if (event.key === "b") { this.bones.checked = !this.bones.checked; this.draw(); }
    else return;
    event.preventDefault();
  }
}

export const RECORDING_KEYS = [["← →", "frame by frame"], ["Page Up, Page Down", "30 frames"], ["Home, End", "first and last frame"],
  ["Space", "play and stop"], ["B", "joints on or off"]];
