// A recording, frame by frame: depth, hands with state and confidence, and the course of all frames.
import { ask, attempt, el, forControl, place, say, setPlace, whole } from "./page.js";
import { FrameView, STRIP, drawStrip } from "./frame.js";

const STATES = ["no hand", "found", "tracking"];

export class RecordingPage {
  constructor(about, main) {
    Object.assign(this, { about, main, k: 0, playing: false });
  }

  show() {
    const a = this.about;
    this.range = el("input", { type: "range", min: 0, max: Math.max(0, a.frames - 1), value: 0, "aria-label": "Frame", oninput: () => this.open(Number(this.range.value)) });
    this.playButton = el("button", { type: "button", text: "Play", onclick: () => this.play(!this.playing) });
    this.where = el("span", { class: "count", role: "status" });
    this.view = new FrameView(a);
    this.time = el("canvas", { class: "time", role: "img", "aria-label": "Confidence in every frame; a click goes there",
      onpointerdown: (e) => this.sought(e), onpointermove: (e) => e.buttons && this.sought(e) });
    this.main.replaceChildren(
      el("div", { class: "bar" }, this.playButton, el("button", { type: "button", text: "← Back", onclick: () => this.open(this.k - 1) }),
        el("button", { type: "button", text: "On →", onclick: () => this.open(this.k + 1) }), ...this.view.controls, this.where),
      el("div", { class: "panels" },
        el("section", { class: "panel", "aria-label": "Frame" }, this.view.canvas, this.range, this.time,
          el("p", { class: "read", text: a.tracked ? STRIP : "No hands: give the file of gmaps track --out as --predictions." })),
        a.tracked ? this.view.deep : null,
        a.tracked ? el("section", { class: "panel narrow", "aria-label": "Hands" }, ...this.view.numbers) : null));
    this.keys = (event) => this.pressed(event);
    document.addEventListener("keydown", this.keys);
    this.observer = new ResizeObserver(() => this.drawTime());
    this.observer.observe(this.time);
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
    this.view.close();
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
    this.view.show(this.frame);
  }

  /** For a change of the theme. */
  draw() {
    this.view.draw();
    this.drawTime();
  }

  drawTime() {
    if (!this.course) return;
    const { confidence, state } = this.course;
    drawStrip(this.time, confidence, state, this.k);
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
    else if (event.key === "b") this.view.toggle();
    else return;
    event.preventDefault();
  }
}

export const RECORDING_KEYS = [["← →", "frame by frame"], ["Page Up, Page Down", "30 frames"], ["Home, End", "first and last frame"],
  ["Space", "play and stop"], ["B", "joints on or off"]];
