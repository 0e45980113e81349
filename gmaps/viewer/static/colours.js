// From values to colours. Tables are a few anchors, between which colours are interpolated.

const VIRIDIS = [[68, 1, 84], [71, 45, 123], [59, 82, 139], [44, 114, 142], [33, 145, 140], [40, 174, 128], [94, 201, 98],
  [173, 220, 48], [253, 231, 37]];
const SIGNED = [[178, 24, 43], [214, 96, 77], [244, 165, 130], [240, 240, 240], [146, 197, 222], [67, 147, 195], [33, 102, 172]];
// Near is light; neither end is the page's own black or white.
const GREY = [[225, 225, 225], [58, 58, 58]];

function table(anchors) {
  const made = new Uint8Array(256 * 3);
  for (let k = 0; k < 256; k++) {
    const at = (k / 255) * (anchors.length - 1);
    const i = Math.min(Math.floor(at), anchors.length - 2);
    for (let c = 0; c < 3; c++) made[3 * k + c] = Math.round(anchors[i][c] + (at - i) * (anchors[i + 1][c] - anchors[i][c]));
  }
  return made;
}

export const TABLES = { viridis: table(VIRIDIS), signed: table(SIGNED), grey: table(GREY) };

/** Bytes 0 to 254, and 255 for nothing, as an image. */
export function fromCodes(codes, width, height) {
  const image = new ImageData(width, height);
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i];
    if (code === 255) continue;
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = TABLES.grey[3 * code + c];
    image.data[4 * i + 3] = 255;
  }
  return image;
}

/** Red, green and blue as an image; `seen` says where there is something, if not everywhere. */
export function fromRgb(rgb, width, height, seen = null) {
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = rgb[3 * i + c];
    image.data[4 * i + 3] = seen && !seen(i) ? 0 : 255;
  }
  return image;
}

/** Values from `low` to `high` as an image; nothing where `seen` says so, or where they are not finite. */
export function fromValues(values, width, height, low, high, name, seen = null) {
  const image = new ImageData(width, height);
  const colours = TABLES[name];
  const span = high - low || 1;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (!Number.isFinite(value) || (seen && !seen(i))) continue;
    const k = 3 * Math.max(0, Math.min(255, Math.round((255 * (value - low)) / span)));
    image.data[4 * i] = colours[k];
    image.data[4 * i + 1] = colours[k + 1];
    image.data[4 * i + 2] = colours[k + 2];
    image.data[4 * i + 3] = 255;
  }
  return image;
}

/** Paints a table from left to right. */
export function paintScale(canvas, name) {
  canvas.width = 256;
  canvas.height = 1;
  const image = new ImageData(256, 1);
  for (let k = 0; k < 256; k++) {
    for (let c = 0; c < 3; c++) image.data[4 * k + c] = TABLES[name][3 * k + c];
    image.data[4 * k + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

const scratch = document.createElement("canvas");

/** Draws an image into a rectangle of a canvas, pixels as squares. */
export function paint(context, image, x, y, width, height) {
  scratch.width = image.width;
  scratch.height = image.height;
  scratch.getContext("2d").putImageData(image, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(scratch, x, y, width, height);
}

/** Bones and joints; `at(j)` gives x and y in pixels of the canvas, or null. */
export function drawHand(context, at, about, size, rim = "#ffffff") {
  context.lineCap = "round";
  for (const [parent, child] of about.bones) {
    const [a, b] = [at(parent), at(child)];
    if (!a || !b) continue;
    for (const [style, wide] of [[rim, size * 0.85], [about.colours[child], size * 0.5]]) {
      context.strokeStyle = style;
      context.lineWidth = wide;
      context.beginPath();
      context.moveTo(...a);
      context.lineTo(...b);
      context.stroke();
    }
  }
  for (let j = 0; j < about.joints.length; j++) {
    const p = at(j);
    if (!p) continue;
    context.beginPath();
    context.arc(...p, size * 0.62, 0, 2 * Math.PI);
    context.fillStyle = about.colours[j];
    context.fill();
    context.strokeStyle = rim;
    context.lineWidth = size * 0.18;
    context.stroke();
  }
}

/** Predicted joints as crosses, each with a line to the true one. */
export function drawMisses(context, at, found, count, size) {
  for (let j = 0; j < count; j++) {
    const [a, b] = [at(j), found(j)];
    if (!b) continue;
    if (a) {
      context.strokeStyle = "#ff2222";
      context.lineWidth = size * 0.3;
      context.beginPath();
      context.moveTo(...a);
      context.lineTo(...b);
      context.stroke();
    }
    for (const [style, wide] of [["#ffffff", size * 0.5], ["#000000", size * 0.25]]) {
      context.strokeStyle = style;
      context.lineWidth = wide;
      context.beginPath();
      context.moveTo(b[0] - size * 0.6, b[1] - size * 0.6);
      context.lineTo(b[0] + size * 0.6, b[1] + size * 0.6);
      context.moveTo(b[0] - size * 0.6, b[1] + size * 0.6);
      context.lineTo(b[0] + size * 0.6, b[1] - size * 0.6);
      context.stroke();
    }
  }
}

/** From an array (J, 2) of row and column, 0 to 1, to pixels of a picture of this size. */
export function inPicture(shares, width, height, x = 0, y = 0) {
  return (j, first = 0) => {
    const [row, column] = [shares[first + 2 * j], shares[first + 2 * j + 1]];
    return Number.isFinite(row) && Number.isFinite(column) ? [x + column * width, y + row * height] : null;
  };
}
