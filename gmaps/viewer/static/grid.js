// The grid of samples. Only rows that are in view have elements, and only theirs are asked for.
import { ask, attempt, choose, el, forControl, labelled, mm, place, say, setPlace, whole } from "./page.js";
import { drawHand, drawMisses, fromCodes, fromRgb, inPicture, paint } from "./colours.js";

// Browsers end an element's height somewhere between 17 and 33 million pixels.
const TALLEST = 8e6;
const KEPT = 800;
const SIZES = [72, 96, 128, 176, 240, 320];
const SAID = 22; // px of a tile's line of text at 100 %

export class Grid {
  constructor(about, main, open) {
    Object.assign(this, { about, main, open, top: 0, of: about.rows, tiles: new Map(), known: new Map(), focus: 0 });
    this.wish = { show: "all", subject: -1, above: -1, order: "row" };
    this.version = 0;
    this.size = Number(readSize()) || 128;
    this.asking = null;
  }

  /** The question that says which rows, in which order. */
  get asked() {
    return { ...this.wish };
  }

  show() {
    const from = place();
    for (const name of ["show", "subject", "above", "order"]) if (from[name]) this.wish[name] = from[name];
    this.count = el("span", { class: "count", role: "status" });
    this.bones = el("input", { type: "checkbox", checked: true, onchange: () => this.redraw() });
    this.jump = el("input", { type: "number", min: 0, max: this.about.rows - 1, placeholder: "row", "aria-label": "Open row" });
    const subject = choose([[-1, "all subjects"]], "-1", (v) => this.change("subject", v));
    this.scroller = el("div", { class: "scroller", tabindex: -1, role: "list", "aria-label": "Samples" });
    this.spacer = el("div", { class: "spacer" });
    this.scroller.append(this.spacer);
    const bar = el("div", { class: "bar", role: "search", "aria-label": "Which samples" },
      labelled("Show", choose([["all", "all rows"], ["valid", "with a hand"], ["rejected", "rejected"]], this.wish.show,
        (v) => this.change("show", v))),
      labelled("Subject", subject));
    if (this.about.predicted !== null) {
      const above = el("input", { type: "number", min: 0, step: "any", placeholder: "mm", value: this.wish.above > 0 ? this.wish.above : "",
        onchange: () => this.change("above", above.value === "" ? -1 : above.value) });
      bar.append(labelled("Error above, mm", above),
        labelled("Order", choose([["row", "rows"], ["error", "largest error first"]], this.wish.order, (v) => this.change("order", v))));
    }
    bar.append(
      el("form", { onsubmit: (event) => { event.preventDefault(); this.open(Number(this.jump.value)); } },
        this.jump, " ", el("button", { text: "Open" })),
      el("span", {}, el("button", { type: "button", text: "−", "aria-label": "Smaller pictures (−)", onclick: () => this.resize(-1) }), " ",
        el("button", { type: "button", text: "+", "aria-label": "Larger pictures (+)", onclick: () => this.resize(1) })),
      labelled("Joints", this.bones), this.count);
    this.main.replaceChildren(bar, this.scroller);
    this.scroller.addEventListener("scroll", () => this.scrolled());
    this.scroller.addEventListener("wheel", (event) => this.wheeled(event), { passive: false });
    this.observer = new ResizeObserver(() => {
      if (this.scroller.clientWidth !== this.laid || this.scroller.clientHeight !== this.view) this.layOut();
    });
    this.observer.observe(this.scroller);
    this.keys = (event) => this.pressed(event);
    document.addEventListener("keydown", this.keys);
    attempt(async () => {
      const { subjects, more } = await ask("subjects");
      for (const [number, name] of subjects) subject.append(el("option", { value: number, text: name }));
      if (more) subject.append(el("option", { value: -1, text: `and ${whole(more)} more`, disabled: true }));
      subject.value = this.wish.subject;
    });
    if (this.about.predicted !== null) this.watch();
    this.layOut();
  }

  hide() {
    this.observer.disconnect();
    document.removeEventListener("keydown", this.keys);
    clearTimeout(this.timer);
    this.asking?.abort();
    this.asking = null;
    this.tiles.clear();
  }

  /** While a network predicts, the order and the errors change. */
  async watch() {
    const now = await attempt(() => ask("progress"));
    if (!now || !this.scroller.isConnected) return;
    this.progress = now;
    if (now.problem) say(now.problem, true);
    if (now.version !== this.version) {
      this.version = now.version;
      this.known.clear();
      this.refresh();
    }
    this.tell();
    if (!now.problem && now.done < now.of) this.timer = setTimeout(() => this.watch(), 2000);
  }

  tell() {
    const p = this.progress;
    const busy = p && !p.problem && p.done < p.of ? `; predicted ${whole(p.done)} of ${whole(p.of)}` : "";
    this.count.textContent = `${whole(this.of)} of ${whole(this.about.rows)} samples${busy}`;
  }

  change(name, value) {
    this.wish[name] = value;
    say();
    const { show, subject, above, order } = this.wish;
    setPlace({ show: show === "all" ? "" : show, subject: Number(subject) < 0 ? "" : subject, above: Number(above) < 0 ? "" : above,
      order: order === "row" ? "" : order });
    this.known.clear();
    this.asking?.abort();
    this.asking = null;
    this.focus = 0;
    this.goTo(0);
  }

  resize(step) {
    const k = SIZES.indexOf(this.size);
    const first = this.columns ? Math.floor(this.top / this.high) * this.columns : 0;
    this.size = SIZES[Math.max(0, Math.min(SIZES.length - 1, k + step))];
    try { localStorage.setItem("gmaps-tile", this.size); } catch { /* a browser that keeps nothing */ }
    this.known.clear();
    this.layOut(first);
  }

  /** How many columns, how tall; `first` is the position that shall come first. */
  layOut(first = null) {
    const width = this.scroller.clientWidth;
    if (!width) return;
    this.laid = width;
    const focused = this.tiles.get(this.focus)?.element === document.activeElement;
    const keep = first ?? (this.columns ? Math.floor(this.top / this.high) * this.columns : 0);
    const gap = 8;
    this.font = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
    this.wide = Math.min(this.size, width - gap - 2);
    this.columns = Math.max(1, Math.floor((width - gap) / (this.wide + gap)));
    this.step = this.wide + gap;
    this.high = this.wide + SAID * this.font * (this.about.predicted === null ? 1 : 2) + gap + 2;
    this.left = (width - this.columns * this.step + gap) / 2;
    this.total = Math.ceil(this.of / this.columns) * this.high + gap;
    this.spacer.style.height = `${Math.min(this.total, TALLEST)}px`;
    this.view = this.scroller.clientHeight;
    // Of a page that is too tall, the scroll bar stands for more than it moves.
    this.ratio = this.total > TALLEST ? (this.total - this.view) / (TALLEST - this.view) : 1;
    this.tiles.forEach((tile) => tile.element.remove());
    this.tiles.clear();
    this.goTo(Math.floor(keep / this.columns) * this.high);
    if (focused) this.focusOn(this.focus);
  }

  focusOn(position) {
    this.reveal(position);
    this.tiles.get(position)?.element.focus({ preventScroll: true });
  }

  goTo(top) {
    this.top = Math.max(0, Math.min(top, this.total - this.view));
    this.scroller.scrollTop = this.top / this.ratio;
    this.expected = this.scroller.scrollTop;
    this.render();
  }

  scrolled() {
    if (this.ratio === 1) this.top = this.scroller.scrollTop;
    else if (Math.abs(this.scroller.scrollTop - this.expected) > 1) {
      this.top = this.scroller.scrollTop * this.ratio;
      this.expected = this.scroller.scrollTop;
    }
    this.render();
  }

  wheeled(event) {
    if (this.ratio === 1 || event.ctrlKey) return;
    event.preventDefault();
    this.goTo(this.top + event.deltaY * [1, 20, this.view][event.deltaMode]);
  }

  /** Elements for what is in view; what is not known of it is asked for. */
  render() {
    const gap = 8;
    const first = Math.max(0, Math.floor((this.top - gap) / this.high)) * this.columns;
    const last = Math.min(this.of, Math.ceil((this.top + this.view) / this.high) * this.columns);
    for (const [position, tile] of this.tiles) {
      if (position < first || position >= last) {
        tile.element.remove();
        this.tiles.delete(position);
      }
    }
    const base = this.scroller.scrollTop - this.top;
    for (let position = first; position < last; position++) {
      const tile = this.tiles.get(position) ?? this.make(position);
      const x = this.left + (position % this.columns) * this.step;
      const y = gap + Math.floor(position / this.columns) * this.high + base;
      tile.element.style.transform = `translate(${x}px, ${y}px)`;
    }
    this.span = [first, last];
    this.fetch();
  }

  make(position) {
    const canvas = el("canvas", { width: 1, height: 1 });
    const said = el("span", { class: "said" });
    const element = el("a", { class: "tile", role: "listitem", tabindex: position === this.focus ? 0 : -1,
      "aria-setsize": this.of, "aria-posinset": position + 1, onfocus: () => this.focused(position) }, canvas, said);
    element.style.width = `${this.wide + 2}px`;
    element.style.height = `${this.high - 8}px`;
    canvas.style.width = canvas.style.height = `${this.wide}px`;
    const tile = { element, canvas, said };
    this.tiles.set(position, tile);
    this.scroller.append(element);
    if (this.known.has(position)) this.fill(position, tile);
    return tile;
  }

  /** One question at a time, for the positions in view that are not known. */
  async fetch() {
    const lacking = [];
    for (let p = this.span[0]; p < this.span[1]; p++) if (!this.known.has(p)) lacking.push(p);
    if (!lacking.length) return;
    const [from, to] = [lacking[0], lacking.at(-1) + 1];
    if (this.asking) {
      // What is under way and still in view may come; anything else is given up.
      if (this.asking.from < this.span[1] && this.asking.to > this.span[0] && this.asking.version === this.version) return;
      this.asking.abort();
    }
    const asking = Object.assign(new AbortController(), { from, to, version: this.version });
    this.asking = asking;
    const slow = setTimeout(() => say("Reading … The first time after an installation, kernels are compiled; that takes up to a minute."), 2500);
    const pixels = Math.round(this.wide * Math.min(devicePixelRatio || 1, 3));
    const found = await attempt(() => ask("tiles", { ...this.wish, from, count: Math.min(to - from, 400), pixels }, asking.signal));
    clearTimeout(slow);
    if (found && document.getElementById("status").textContent.startsWith("Reading")) say();
    if (this.asking !== asking) return;
    this.asking = null;
    if (!found || !this.scroller.isConnected) return;
    this.keep(found);
    if (found.of !== this.of) {
      this.of = found.of;
      this.tell();
      this.layOut();
      return;
    }
    this.tell();
    this.render();
  }

  keep(found) {
    const joints = this.about.joints.length;
    const [, side, , channels] = found.picture.shape;
    const each = side * side * (channels ?? 1);
    found.rows.forEach((row, k) => {
      const position = found.from + k;
      this.known.delete(position);
      this.known.set(position, {
        row, side, picture: found.picture.subarray(k * each, (k + 1) * each), colored: channels === 3,
        true: found.true.subarray(2 * joints * k, 2 * joints * (k + 1)), found: found.found.subarray(2 * joints * k, 2 * joints * (k + 1)),
        frame: found.frames[k], subject: found.subjects[k], valid: found.valid[k], reason: found.reasons[k],
        error: found.errors ? found.errors[k] : undefined,
      });
      const tile = this.tiles.get(position);
      if (tile) this.fill(position, tile);
    });
    for (const position of this.known.keys()) {
      if (this.known.size <= KEPT) break;
      if (position < this.span[0] || position >= this.span[1]) this.known.delete(position);
    }
  }

  fill(position, tile) {
    const known = this.known.get(position);
    tile.element.href = `#${new URLSearchParams({ row: known.row, ...this.changed() })}`;
    tile.element.dataset.row = known.row;
    const error = known.error === undefined ? "" : known.error === null ? "no prediction" : `${mm(known.error)} mm`;
    tile.said.replaceChildren(el("b", { text: whole(known.row) }), el("br"), error);
    if (!error) tile.said.replaceChildren(el("b", { text: whole(known.row) }));
    tile.element.title = known.valid ? `row ${known.row}, frame ${known.frame}, subject ${known.subject}` : `row ${known.row}: ${known.reason}`;
    if (!known.valid) {
      tile.canvas.replaceWith(el("span", { class: "bad", text: `rejected: ${known.reason || "no hand"}` }));
      return;
    }
    const dense = Math.min(devicePixelRatio || 1, 3);
    const pixels = (tile.canvas.width = tile.canvas.height = Math.round(this.wide * dense));
    const context = tile.canvas.getContext("2d");
    paint(context, (known.colored ? fromRgb : fromCodes)(known.picture, known.side, known.side), 0, 0, pixels, pixels);
    if (!this.bones.checked) return;
    const at = inPicture(known.true, pixels, pixels);
    const size = Math.max(2, this.wide / 32) * dense;
    drawHand(context, at, this.about, size);
    drawMisses(context, at, inPicture(known.found, pixels, pixels), this.about.joints.length, size);
  }

  /** Controls that are not as they are at first, for addresses. */
  changed() {
    const plain = { show: "all", subject: -1, above: -1, order: "row" };
    return Object.fromEntries(Object.entries(this.wish).filter(([name, value]) => String(value) !== String(plain[name])));
  }

  redraw() {
    this.tiles.forEach((tile, position) => this.known.has(position) && this.fill(position, tile));
  }

  refresh() {
    this.asking?.abort();
    this.asking = null;
    this.fetch();
  }

  focused(position) {
    this.tiles.get(this.focus)?.element.setAttribute("tabindex", -1);
    this.focus = position;
    this.tiles.get(position)?.element.setAttribute("tabindex", 0);
  }

  pressed(event) {
    if (forControl(event)) return;
    if (event.key === "+" || event.key === "-") return this.resize(event.key === "+" ? 1 : -1);
    if (event.key === "g") { this.jump.focus(); event.preventDefault(); return; }
    const page = Math.max(1, Math.floor(this.view / this.high)) * this.columns;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns, PageUp: -page, PageDown: page,
      Home: -this.of, End: this.of }[event.key];
    if (step === undefined || !this.of) return;
    event.preventDefault();
    const inside = this.scroller.contains(document.activeElement);
    const to = Math.max(0, Math.min(this.of - 1, inside ? this.focus + step : this.span[0]));
    this.focusOn(to);
  }

  /** Scrolls as far as is needed to have a position in view. */
  reveal(position) {
    const y = Math.floor(position / this.columns) * this.high;
    if (y < this.top) this.goTo(y);
    else if (y + this.high > this.top + this.view) this.goTo(y + this.high - this.view + 8);
    else this.render();
  }
}

function readSize() {
  try { return localStorage.getItem("gmaps-tile"); } catch { return null; }
}

export const GRID_KEYS = [["← ↑ → ↓", "move from sample to sample"], ["Page Up, Page Down, Home, End", "move further"],
  ["Enter", "open the sample"], ["+ −", "larger and smaller pictures"], ["G", "go to a row by its number"]];
