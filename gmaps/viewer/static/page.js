// What all pages share: questions to the server, elements, messages, and the address behind the #.
// Text from files goes into the page as text alone: nothing here parses HTML.

export class Problem extends Error {}

const TYPES = { uint8: Uint8Array, uint16: Uint16Array, int32: Int32Array, float32: Float32Array, float64: Float64Array };

/** Asks the server; arrays of the answer are typed arrays with a shape. */
export async function ask(name, params = {}, signal = undefined) {
  let reply;
  try {
    reply = await fetch(`api/${name}?${new URLSearchParams(params)}`, { signal });
    if (reply.headers.get("Content-Type") === "application/octet-stream") return unpack(await reply.arrayBuffer());
    const text = await reply.text();
    if (reply.ok) return JSON.parse(text);
    throw new Problem(reply.headers.get("Content-Type") === "application/json" ? JSON.parse(text).error : text);
  } catch (error) {
    if (error instanceof Problem || error.name === "AbortError") throw error;
    throw new Problem("The server does not answer any more. Was gmaps ended in its terminal? Start it again, and open its new address.");
  }
}

function unpack(buffer) {
  const size = new DataView(buffer).getUint32(0, true);
  const values = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, size)));
  for (const [name, type, shape, offset] of values.arrays) {
    const array = new TYPES[type](buffer, 4 + size + offset, shape.reduce((a, b) => a * b, 1));
    array.shape = shape;
    values[name] = array;
  }
  return values;
}

/** An element with properties (text, class, aria-..., on...) and children. */
export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "text") made.textContent = value;
    else if (name === "class") made.className = value;
    else if (name in made && !name.includes("-")) made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** A control with its label. */
export function labelled(text, control) {
  return el("label", {}, control.type === "checkbox" ? control : text, control.type === "checkbox" ? text : control);
}

export function choose(options, value, onchange) {
  const made = el("select", { onchange: () => onchange(made.value) });
  for (const [key, text] of options) made.append(el("option", { value: key, text }));
  made.value = value;
  return made;
}

const status = document.getElementById("status");

/** A sentence at the top of the page; none takes it away. */
export function say(sentence = "", bad = false) {
  status.textContent = sentence;
  status.hidden = !sentence;
  status.className = bad ? "bad" : "";
}

/** Runs what may fail, and says why. */
export async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    if (error.name === "AbortError") return undefined;
    say(error.message, true);
    if (!(error instanceof Problem)) console.error(error);
    return undefined;
  }
}

/** What stands behind the #, as names and values. */
export function place() {
  return Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
}

/** Writes it, without a step in the browser's history. */
export function setPlace(values) {
  const kept = Object.entries(values).filter(([, v]) => v !== "" && v !== null && v !== undefined && v !== false);
  history.replaceState(null, "", `#${new URLSearchParams(kept)}`);
}

export const whole = (n) => Number(n).toLocaleString("en");
export const mm = (v, digits = 1) => (v === null || v === undefined || Number.isNaN(v) ? "–" : v.toFixed(digits));

/** Whether a key press is meant for a control, and not for the page. */
export function forControl(event) {
  return event.ctrlKey || event.metaKey || event.altKey
    || (event.target instanceof HTMLElement && event.target.matches("input:not([type=checkbox]), select, textarea, dialog *"));
}

/** A colour of the theme. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** Makes a canvas as fine as the screen; gives its width, its height and pixels per CSS pixel. */
export function fit(canvas) {
  const dense = Math.min(devicePixelRatio || 1, 4);
  const width = Math.max(1, Math.round(canvas.clientWidth * dense));
  const height = Math.max(1, Math.round(canvas.clientHeight * dense));
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  return [width, height, dense];
}
