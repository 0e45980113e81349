// The surface of a crop, or of a part of a camera's image, in 3D, as points or as a mesh, to be turned: WebGL 2, and a 2D canvas above it for the joints.
import { el, fit } from "./page.js";
import { drawHand, drawMisses } from "./colours.js";

const VERTEX = `#version 300 es
uniform mat4 turn; uniform float dot;
in vec3 at; in vec3 paint;
out vec3 colour; out vec3 where;
void main() {
  gl_Position = turn * vec4(at, 1.0);
  gl_PointSize = max(1.5, dot / gl_Position.w);
  colour = paint; where = gl_Position.xyw;
}`;
const FRAGMENT = `#version 300 es
precision highp float;
uniform bool lit;
in vec3 colour; in vec3 where;
out vec4 pixel;
void main() {
  float light = 1.0;
  if (lit) {
    vec3 n = normalize(cross(dFdx(where), dFdy(where)));
    light = 0.5 + 0.5 * abs(n.z);
  }
  pixel = vec4(colour * light, 1.0);
}`;
// Pixels side by side whose depths differ by more lie on two surfaces: mm, and pixels, as gmaps.maps.geodesic has it.
const STEP_MM = 10, STEP_PIXELS = 3;
const AWAY = 4.2, LENS = 3.6;

export class Solid {
  constructor(about) {
    this.about = about;
    this.canvas = el("canvas", { tabindex: 0, role: "img",
      "aria-label": "The surface in 3D: drag or arrow keys turn it, + and − zoom, 0 turns it back" });
    this.over = el("canvas", { class: "over" });
    this.element = el("div", { class: "stack" }, this.canvas, this.over);
    this.mesh = true;
    this.reset();
    this.gl = this.canvas.getContext("webgl2", { antialias: true });
    if (!this.gl) {
      this.element.replaceChildren(el("p", { class: "read", text: "This browser has no WebGL 2, which the 3D view needs." }));
      return;
    }
    this.prepare();
    this.canvas.addEventListener("pointerdown", (e) => this.grab(e));
    this.canvas.addEventListener("dblclick", () => { this.reset(); this.draw(); });
    this.canvas.addEventListener("keydown", (e) => this.pressed(e));
    this.canvas.addEventListener("wheel", (e) => {
      if (document.activeElement !== this.canvas) return; // the page scrolls until the picture was clicked
      e.preventDefault();
      this.zoomBy(Math.exp(-e.deltaY * 0.0015));
    }, { passive: false });
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.element);
  }

  close() {
    this.observer?.disconnect();
    this.gl?.getExtension("WEBGL_lose_context")?.loseContext();
  }

  reset() {
    Object.assign(this, { yaw: 0, pitch: 0, zoom: 1 });
  }

  prepare() {
    const gl = this.gl;
    const program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
    gl.useProgram(program);
    gl.enable(gl.DEPTH_TEST);
    this.uniform = Object.fromEntries(["turn", "dot", "lit"].map((name) => [name, gl.getUniformLocation(program, name)]));
    this.buffers = { at: gl.createBuffer(), paint: gl.createBuffer(), index: gl.createBuffer() };
    for (const name of ["at", "paint"]) {
      const place = gl.getAttribLocation(program, name);
      gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[name]);
      gl.enableVertexAttribArray(place);
      if (name === "at") gl.vertexAttribPointer(place, 3, gl.FLOAT, false, 0, 0);
      else gl.vertexAttribPointer(place, 3, gl.UNSIGNED_BYTE, true, 0, 0);
    }
  }

  /** A sample; of a rejected one, nothing. */
  show(sample) {
    this.sample = sample;
    if (!this.gl) return;
    this.pixels = [];
    this.points = null;
    this.middle = [0, 0, 0];
    if (sample?.depth) this.build(sample);
    this.draw();
  }

  /** mm, camera axes, to the cube's units. */
  unit(x, y, z) {
    const [cx, cy, cz, half] = this.sample.cube;
    return [(x - cx) / half, (y - cy) / half, (z - cz) / half];
  }

  /** From a pixel of depth d, in units of the cube, to its point: in a crop, or in a part of a camera's image. */
  placer(sample) {
    const [rows, columns] = sample.depth.shape;
    const [cx, cy, cz, half] = sample.cube;
    if (sample.lens) {
      const [fx, fy, px, py] = sample.lens;
      return (r, c, d) => [(((c - px) / fx) * (d * half + cz) - cx) / half, (((r - py) / fy) * (d * half + cz) - cy) / half, d];
    }
    const perspective = this.about.projection === "perspective";
    return (r, c, d) => {
      const ratio = perspective ? (d * half + cz) / cz : 1;
      const [u, v] = [((c + 0.5) / columns) * 2 - 1, ((r + 0.5) / rows) * 2 - 1];
      return [((u * half + cx) * ratio - cx) / half, ((v * half + cy) * ratio - cy) / half, d];
    };
  }

  build(sample) {
    const [rows, columns] = sample.depth.shape;
    const [, , cz, half] = sample.cube;
    const at = this.placer(sample);
    const number = new Int32Array(rows * columns).fill(-1);
    const points = [];
    for (let i = 0; i < rows * columns; i++) {
      if (!sample.hand[i]) continue;
      number[i] = this.pixels.length;
      this.pixels.push(i);
      points.push(...at(Math.floor(i / columns), i % columns, sample.depth[i]));
    }
    // A pixel's width in units of the cube.
    this.grain = sample.lens ? cz / sample.lens[0] / half : 2 / columns;
    const most = Math.max(STEP_MM / half, STEP_PIXELS * this.grain);
    const index = [];
    const joined = (...corners) => {
      if (corners.some((i) => number[i] < 0)) return;
      const deep = corners.map((i) => sample.depth[i]);
      if (Math.max(...deep) - Math.min(...deep) <= most) index.push(...corners.map((i) => number[i]));
    };
    for (let r = 0; r + 1 < rows; r++) {
      for (let c = 0; c + 1 < columns; c++) {
        const i = r * columns + c;
        joined(i, i + 1, i + columns);
        joined(i + 1, i + columns + 1, i + columns);
      }
    }
    this.points = new Float32Array(points);
    // A camera's hand is turned about the middle of its joints, which does not tremble with its outline.
    if (!sample.lens) for (let k = 0; k < points.length; k++) this.middle[k % 3] += points[k] / (points.length / 3);
    const gl = this.gl;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers.at);
    gl.bufferData(gl.ARRAY_BUFFER, this.points, gl.STATIC_DRAW);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.buffers.index);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, new Uint32Array(index), gl.STATIC_DRAW);
    this.corners = index.length;
  }

  /** Takes its colours from a picture of the crop, of any size. */
  paint(image) {
    if (!this.gl || !this.points) return;
    const colours = new Uint8Array(this.points.length);
    const [rows, columns] = this.sample.depth.shape;
    this.pixels.forEach((i, k) => {
      const r = Math.floor((Math.floor(i / columns) * image.height) / rows);
      const c = Math.floor(((i % columns) * image.width) / columns);
      const from = 4 * (r * image.width + c);
      for (let a = 0; a < 3; a++) colours[3 * k + a] = image.data[from + 3] ? image.data[from + a] : 128;
    });
    const gl = this.gl;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers.paint);
    gl.bufferData(gl.ARRAY_BUFFER, colours, gl.STATIC_DRAW);
    this.draw();
  }

  /** Rows of the rotation. */
  rotation() {
    const [a, b] = [this.yaw, this.pitch];
    const [ca, sa, cb, sb] = [Math.cos(a), Math.sin(a), Math.cos(b), Math.sin(b)];
    return [[ca, 0, sa], [sb * sa, cb, -sb * ca], [-cb * sa, sb, cb * ca]];
  }

  /** x, y and w of clip space: x right, y up. */
  project([x, y, z]) {
    const p = [x - this.middle[0], y - this.middle[1], z - this.middle[2]];
    const [u, v, w] = this.rotation().map((row) => row[0] * p[0] + row[1] * p[1] + row[2] * p[2]);
    return [LENS * this.zoom * u, -LENS * this.zoom * v, w + AWAY];
  }

  matrix() {
    const rows = this.rotation();
    const shift = rows.map((row) => -(row[0] * this.middle[0] + row[1] * this.middle[1] + row[2] * this.middle[2]));
    const f = LENS * this.zoom;
    const [near, far] = [AWAY - 3.5, AWAY + 3.5];
    const [a, b] = [(far + near) / (far - near), (-2 * far * near) / (far - near)];
    const lines = [rows[0].map((v) => f * v), rows[1].map((v) => -f * v), rows[2].map((v) => a * v), rows[2]];
    const last = [f * shift[0], -f * shift[1], a * (shift[2] + AWAY) + b, shift[2] + AWAY];
    const out = new Float32Array(16);
    for (let c = 0; c < 4; c++) for (let r = 0; r < 4; r++) out[4 * c + r] = c < 3 ? lines[r][c] : last[r];
    return out;
  }

  draw() {
    if (!this.gl || this.waiting) return;
    this.waiting = requestAnimationFrame(() => { this.waiting = 0; this.drawNow(); });
  }

  drawNow() {
    const gl = this.gl;
    const [width, height, dense] = fit(this.canvas);
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    fit(this.over);
    const context = this.over.getContext("2d");
    context.clearRect(0, 0, width, height);
    const s = this.sample;
    if (!s) return;
    if (this.points?.length) {
      gl.uniformMatrix4fv(this.uniform.turn, false, this.matrix());
      gl.uniform1f(this.uniform.dot, 0.75 * LENS * this.zoom * width * this.grain);
      gl.uniform1i(this.uniform.lit, this.mesh ? 1 : 0);
      if (this.mesh) gl.drawElements(gl.TRIANGLES, this.corners, gl.UNSIGNED_INT, 0);
      else gl.drawArrays(gl.POINTS, 0, this.points.length / 3);
    }
    if (this.joints === false) return;
    const screen = (array, j) => {
      if (j < 0 || !Number.isFinite(array[3 * j])) return null;
      const [x, y, w] = this.project(this.unit(array[3 * j], array[3 * j + 1], array[3 * j + 2]));
      return w > 0.1 ? [(x / w + 1) * width / 2, (1 - y / w) * height / 2] : null;
    };
    const each = this.about.joints.length;
    for (let first = 0; first < s.joints.length / 3; first += each) drawHand(context, (j) => screen(s.joints, first + j), this.about, 6 * dense);
    if (s.predicted && this.guess !== false) {
      const order = this.about.evaluated;
      drawMisses(context, (j) => screen(s.joints, j), (j) => screen(s.predicted, order.indexOf(j)), each, 6 * dense);
    }
  }

  zoomBy(factor) {
    this.zoom = Math.max(0.4, Math.min(12, this.zoom * factor));
    this.draw();
  }

  turnBy(yaw, pitch) {
    this.yaw += yaw;
    this.pitch = Math.max(-Math.PI, Math.min(Math.PI, this.pitch + pitch));
    this.draw();
  }

  grab(event) {
    this.canvas.setPointerCapture(event.pointerId);
    let [x, y] = [event.clientX, event.clientY];
    const move = (e) => {
      this.turnBy(-(e.clientX - x) * 0.01, (e.clientY - y) * 0.01);
      [x, y] = [e.clientX, e.clientY];
    };
    this.canvas.addEventListener("pointermove", move);
    const end = () => this.canvas.removeEventListener("pointermove", move);
    this.canvas.addEventListener("pointerup", end, { once: true });
    this.canvas.addEventListener("pointercancel", end, { once: true });
  }

  pressed(event) {
    const turn = { ArrowLeft: [0.12, 0], ArrowRight: [-0.12, 0], ArrowUp: [0, -0.12], ArrowDown: [0, 0.12] }[event.key];
    if (turn) this.turnBy(...turn);
    else if (event.key === "+" || event.key === "-") this.zoomBy(event.key === "+" ? 1.2 : 1 / 1.2);
    else if (event.key === "0") { this.reset(); this.draw(); }
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
