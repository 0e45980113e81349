// A tracker at work: its newest frame, as fast as this page can draw; what comes meanwhile is left out.
import { ask, attempt, el, fit, colour, forControl, mm, say, whole } from "./page.js";
import { FrameView, STRIP, drawStrip } from "./frame.js";

const LEAST = 15; // ms between two questions: no screen shows more

export class LivePage {
  constructor(about, main) {
    Object.assign(this, { about, main, number: -1, held: false, drawn: [] });
  }

  show() {
    this.view = new FrameView(this.about);
    this.holdButton = el("button", { type: "button", text: "Hold", "aria-pressed": "false", onclick: () => this.hold() });
    this.state = el("span", { class: "count", role: "status" });
    this.time = el("canvas", { class: "time", role: "img", "aria-label": "Confidence in the last frames" });
    this.spent = el("canvas", { class: "time", role: "img", "aria-label": "Time of each of the last frames" });
    this.facts = Object.fromEntries(["frame", "tracked", "shown", "latency"].map((name) => [name, el("dd", { text: "–" })]));
    const names = { frame: "frame", tracked: "tracked, a second", shown: "shown, a second", latency: "time of a frame" };
    this.main.replaceChildren(
      el("div", { class: "bar" }, this.holdButton, ...this.view.controls, this.state),
      el("div", { class: "panels" },
        el("section", { class: "panel", "aria-label": "Frame" }, this.view.canvas, this.time,
          el("p", { class: "read", text: `${STRIP} The last 300 frames.` })),
        this.view.deep,
        el("section", { class: "panel narrow", "aria-label": "Hands" },
          el("dl", {}, ...Object.entries(names).flatMap(([name, text]) => [el("dt", { text }), this.facts[name]])),
          this.spent, el("p", { class: "read", text: "The time of each of the last 300 frames; the line is at 33 ms." }), ...this.view.numbers)));
    this.keys = (event) => {
      if (forControl(event)) return;
      if (event.key === " " && !(event.target instanceof HTMLButtonElement)) this.hold();
      else if (event.key === "b") this.view.toggle();
      else return;
      event.preventDefault();
    };
    document.addEventListener("keydown", this.keys);
    this.tell("waiting for the first frame");
    this.look();
  }

  hide() {
    this.gone = true;
    document.removeEventListener("keydown", this.keys);
    this.view.close();
  }

  /** The picture stands still; the numbers go on. */
  hold() {
    this.held = !this.held;
    this.holdButton.setAttribute("aria-pressed", String(this.held));
    if (!this.held) this.draw();
  }

  async look() {
    const page = Math.random().toString(36).slice(2);
    while (!this.gone) {
      const began = performance.now();
      const found = await attempt(() => ask("next", { after: this.number, page }));
      if (!found) { this.tell("the connection is lost"); return; }
      if (found.frame !== undefined) this.take(found);
      else if (!found.ended) this.tell("no new frame for 10 s");
      if (found.ended) {
        say(found.ended);
        this.tell("ended");
        await ask("told", { page }).catch(() => {}); // it may be gone by now
        return;
      }
      await new Promise((done) => setTimeout(done, LEAST - (performance.now() - began)));
    }
  }

  /** What a screen reader says, only when it is something else. */
  tell(state) {
    if (this.state.textContent !== state) this.state.textContent = state;
  }

  take(frame) {
    this.number = frame.number;
    this.newest = frame;
    const now = performance.now();
    this.drawn = [...this.drawn.filter((at) => now - at < 2000), now];
    const shown = this.drawn.length > 1 ? (1000 * (this.drawn.length - 1)) / (now - this.drawn[0]) : 0;
    this.facts.frame.textContent = `${whole(frame.number)}: ${frame.frame}`;
    this.facts.tracked.textContent = frame.fps.toFixed(1);
    this.facts.shown.textContent = shown.toFixed(1);
    this.facts.latency.textContent = `${mm(frame.median_ms)} ms (median), ${mm(frame.p99_ms)} ms (99th percentile)`;
    this.tell(frame.hands.length ? frame.hands.map((h) => `${h.side} hand ${h.number}: ${h.state}`).join("; ")
      : frame.lost.length ? "lost: looking for the hand" : "looking for a hand");
    if (!this.held) this.draw();
  }

  draw() {
    const frame = this.newest;
    if (!frame) return;
    this.view.show(frame, "no hand yet", frame.lost.map(([number, since]) => [number, "", `lost ${whole(since)} frames ago`, ""]));
    drawStrip(this.time, frame.confidence, frame.state);
    this.drawSpent(frame.spent);
  }

  /** A bar a frame; of frames that took 66 ms or more, as tall as there is room. */
  drawSpent(spent) {
    const [width, height, dense] = fit(this.spent);
    const context = this.spent.getContext("2d");
    context.clearRect(0, 0, width, height);
    context.fillStyle = colour("link");
    const wide = width / Math.max(spent.length, 60);
    spent.forEach((ms, k) => {
      const tall = Math.max(dense, Math.min(1, ms / 66) * height);
      context.fillRect(Math.floor(k * wide), height - tall, Math.ceil(wide), tall);
    });
    context.fillStyle = colour("ink");
    context.fillRect(0, Math.round(height / 2), width, dense);
  }
}

export const LIVE_KEYS = [["Space", "hold the picture, and go on"], ["B", "joints on or off"]];
