// The picture with its masks, and over them what somebody is about to do; zoomed and moved.
//
// Three canvases lie above each other, `data-layer` picture, masks and marks, so that each is drawn only when it
// changes.

import { contourPath } from "./contours.js";
import { css, textOn } from "./colours.js";
import { element } from "./element.js";
import { Emitter } from "./emitter.js";
import { Pointing } from "./pointing.js";

const MOST_ZOOM = 40; // screen pixels (CSS) to a pixel of the image
const SHARP_ZOOM = 4; // from here on the image's pixels are drawn as squares
const NARROW = 480; // CSS pixels of a picture in which labels would hide too much: IDs only
const CHIP_FONT = "600 12px system-ui, sans-serif";
const STILL = window.matchMedia("(prefers-reduced-motion: reduce)");

/**
 * Emits, in whole pixels of the image:
 *   "click" {x, y, positive, alt, ctrl, touch},
 *   "box" {box: [x, y, width, height], alt, ctrl},
 *   "hover" {x, y, positive, alt, ctrl, touch} or null,
 *   "stroke" {phase: "begin"|"move"|"end"|"cancel", points: [[x, y], ...], pressure, erase}, fractions of pixels too,
 *      in mode "brush",
 *   "draft" [x, y, width, height] or null: a box that is being drawn,
 *   "drawn" (frame): a frame has got onto the screen; "skipped" (frame): another one came first; "zoom".
 */
export class Stage extends Emitter {
  mode = "point"; // or "brush"
  look = { opacity: 0.3, outline: false, labels: true };

  #layers = {};
  #frame = null;
  #fresh = false; // the frame has not been drawn yet
  #overlay = {};
  #draft = null;
  #crosshair = null;
  #scale = 1; // CSS pixels to a pixel of the image
  #x = 0; // of the image's corner, CSS pixels in the element
  #y = 0;
  #fitted = true;
  #due = new Set();
  #request = 0;
  #anchored = new Map(); // elements that stay at a place of the image
  #ratio = 1;

  /**
   * @param {HTMLElement} host
   * @param {{still?: boolean, name?: string}} options still: a small picture that is only looked at
   */
  constructor(host, { still = false, name = "Picture" } = {}) {
    super();
    for (const layer of ["picture", "masks", "marks"]) {
      const canvas = element("canvas", { dataset: { layer }, "aria-hidden": "true" });
      this.#layers[layer] = { canvas, context: canvas.getContext("2d") };
    }
    this.element = element("div", { class: "stage" }, ...Object.values(this.#layers).map(({ canvas }) => canvas));
    if (!still) {
      this.element.tabIndex = 0;
      this.element.setAttribute("role", "application");
      this.element.setAttribute("aria-roledescription", "picture to point at");
      this.element.setAttribute("aria-label", `${name}. Arrow keys move a crosshair, Enter is yes, Shift+Enter no.`);
      this.pointing = new Pointing(this);
    }
    host.append(this.element);
    new ResizeObserver(() => this.#resize()).observe(this.element);
    this.#resize();
  }

  /**
   * Shows a picture with its masks; null: nothing.
   *
   * @param {Object|null} frame
   * @param {ImageBitmap|HTMLCanvasElement} frame.bitmap of any size, drawn over the whole image
   * @param {number} frame.width of the image, pixels; all coordinates are its
   * @param {number} frame.height
   * @param {Array<Object>} frame.masks each {object_id, label, mask, presence, iou, chosen, dim, outline, dashed}, of
   *   which all but object_id and mask may be missing; mask null: the object is away
   */
  show(frame) {
    if (this.#fresh && this.#frame) this.emit("skipped", this.#frame);
    const resized = frame && (!this.#frame || frame.width !== this.#frame.width || frame.height !== this.#frame.height);
    this.#frame = frame;
    this.#fresh = true;
    if (resized) {
      this.#fitted = true;
      this.#place();
    }
    this.#draw("picture", "masks", "marks");
  }

  get frame() {
    return this.#frame;
  }

  /**
   * Shows what is about to happen over the picture; each call takes the place of the one before, null takes it away.
   *
   * @param {Object|null} overlay of which all may be missing:
   * @param {Array<Object>} overlay.points each {x, y, positive, pending, refused, object_id}
   * @param {{box: number[], pending: boolean, object_id: number}} overlay.box
   * @param {Object|Array<Object>} overlay.preview a mask, or masks with {mask, object_id, dashed}
   * @param {{x: number, y: number, radius: number}} overlay.cursor a brush, in pixels of the image
   * @param {HTMLCanvasElement} overlay.canvas of the image's size, drawn with overlay.opacity
   */
  overlay(overlay) {
    this.#overlay = overlay ?? {};
    this.#draw("marks");
  }

  /** Draws again after `look` or a mask's looks have changed. */
  refresh() {
    this.#draw("masks", "marks");
  }

  /** CSS pixels to one pixel of the image. */
  get scale() {
    return this.#scale;
  }

  /** A place of the image, on the screen: {x, y} in the window. */
  toScreen(x, y) {
    const frame = this.element.getBoundingClientRect();
    return { x: frame.left + this.#x + x * this.#scale, y: frame.top + this.#y + y * this.#scale };
  }

  /** A place of the window, in the image: {x, y}, fractions of pixels, outside of it too. */
  toImage(clientX, clientY) {
    const frame = this.element.getBoundingClientRect();
    return { x: (clientX - frame.left - this.#x) / this.#scale, y: (clientY - frame.top - this.#y) / this.#scale };
  }

  /** Zooms by a factor about a place of the window; without one, about the middle. */
  zoom(factor, clientX, clientY) {
    if (!this.#frame) return;
    const frame = this.element.getBoundingClientRect();
    const x = (clientX ?? frame.left + frame.width / 2) - frame.left;
    const y = (clientY ?? frame.top + frame.height / 2) - frame.top;
    const scale = Math.min(Math.max(this.#scale * factor, this.#fitScale()), MOST_ZOOM);
    this.#x = x - ((x - this.#x) * scale) / this.#scale;
    this.#y = y - ((y - this.#y) * scale) / this.#scale;
    this.#scale = scale;
    this.#fitted = scale <= this.#fitScale() * 1.001;
    this.#place();
    this.emit("zoom");
  }

  /** Moves the picture by CSS pixels. */
  pan(byX, byY) {
    if (!this.#frame || this.#fitted) return;
    this.#x += byX;
    this.#y += byY;
    this.#place();
    this.emit("zoom");
  }

  /** Shows the whole picture, as large as it fits. */
  fit() {
    this.#fitted = true;
    this.#place();
    this.emit("zoom");
  }

  /** Keeps an element at a place of the image, until it is removed. */
  anchor(made, x, y) {
    this.element.append(made);
    this.#anchored.set(made, [x, y]);
    this.#moveAnchored();
  }

  /** A box while it is drawn. */
  set draft(box) {
    this.#draft = box;
    this.emit("draft", box);
    this.#draw("marks");
  }

  /** Where the keyboard points, {x, y}, or null. */
  set crosshair(place) {
    this.#crosshair = place;
    this.#draw("marks");
  }

  get crosshair() {
    return this.#crosshair;
  }

  #resize() {
    const { clientWidth, clientHeight } = this.element;
    this.#ratio = Math.min(window.devicePixelRatio || 1, 2);
    for (const { canvas } of Object.values(this.#layers)) {
      canvas.width = Math.max(1, Math.round(clientWidth * this.#ratio));
      canvas.height = Math.max(1, Math.round(clientHeight * this.#ratio));
    }
    this.#place();
  }

  #fitScale() {
    const { width, height } = this.#frame;
    return Math.min(this.element.clientWidth / width, this.element.clientHeight / height);
  }

  /** Keeps the picture inside the element, or in its middle where it is smaller. */
  #place() {
    if (!this.#frame || !this.element.clientWidth) return;
    if (this.#fitted) this.#scale = this.#fitScale();
    const inside = (place, image, room) => {
      const size = image * this.#scale;
      return size <= room ? (room - size) / 2 : Math.min(Math.max(place, room - size), 0);
    };
    this.#x = inside(this.#x, this.#frame.width, this.element.clientWidth);
    this.#y = inside(this.#y, this.#frame.height, this.element.clientHeight);
    this.#moveAnchored();
    this.#draw("picture", "masks", "marks");
  }

  #moveAnchored() {
    for (const [made, [x, y]] of this.#anchored) {
      if (!made.isConnected) {
        this.#anchored.delete(made);
        continue;
      }
      const { clientWidth: roomX, clientHeight: roomY } = this.element;
      const { offsetWidth: width, offsetHeight: height } = made;
      let left = this.#x + x * this.#scale + 16;
      let top = this.#y + y * this.#scale - height / 2;
      if (left + width > roomX - 8) left = this.#x + x * this.#scale - 16 - width;
      if (left < 8) {
        left = Math.max(8, Math.min(this.#x + x * this.#scale - width / 2, roomX - width - 8));
        top = this.#y + y * this.#scale + 20;
      }
      top = Math.max(8, Math.min(top, roomY - height - 8));
      made.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
    }
  }

  #draw(...layers) {
    for (const layer of layers) this.#due.add(layer);
    this.#request ||= requestAnimationFrame((now) => this.#drawDue(now));
  }

  #drawDue(now) {
    this.#request = 0;
    const begun = performance.now();
    const due = new Set(this.#due);
    this.#due.clear();
    for (const layer of due) {
      const { canvas, context } = this.#layers[layer];
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.clearRect(0, 0, canvas.width, canvas.height);
      if (!this.#frame) continue;
      const zoom = this.#scale * this.#ratio;
      context.setTransform(zoom, 0, 0, zoom, this.#x * this.#ratio, this.#y * this.#ratio);
      if (layer === "picture") this.#drawPicture(context);
      else if (layer === "masks") this.#drawMasks(context);
      else this.#drawMarks(context, now);
    }
    if (this.#fresh) {
      this.#fresh = false;
      this.drawMilliseconds = performance.now() - begun;
      this.emit("drawn", this.#frame);
    }
    if (this.#moving() && !STILL.matches) this.#draw("marks");
  }

  #moving() {
    const { points = [], box } = this.#overlay;
    return Boolean(box?.pending) || points.some(({ pending }) => pending);
  }

  #drawPicture(context) {
    const { bitmap, width, height } = this.#frame;
    context.imageSmoothingEnabled = (this.#scale * width) / bitmap.width < SHARP_ZOOM;
    context.drawImage(bitmap, 0, 0, width, height);
  }

  #drawMasks(context) {
    for (const shown of this.#frame.masks) {
      if (shown.mask) this.#drawMask(context, shown);
    }
  }

  #drawMask(context, { object_id: objectId, mask, dim, chosen, outline, dashed }) {
    const path = contourPath(mask);
    const line = 1 / this.#scale;
    context.globalAlpha = dim ? 0.35 : 1;
    context.lineJoin = "round";
    if (!(outline ?? this.look.outline)) {
      context.fillStyle = css(objectId, this.look.opacity);
      context.fill(path, "evenodd");
    }
    context.setLineDash(dashed ? [6 * line, 4 * line] : []);
    context.strokeStyle = chosen ? "rgb(255 255 255 / 0.95)" : "rgb(0 0 0 / 0.45)";
    context.lineWidth = (chosen ? 5 : 3.5) * line;
    context.stroke(path);
    context.strokeStyle = css(objectId);
    context.lineWidth = (chosen ? 2.5 : 1.75) * line;
    context.stroke(path);
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  #drawMarks(context, now) {
    const { canvas, opacity = 0.6, points = [], box, preview, cursor } = this.#overlay;
    if (canvas) {
      context.globalAlpha = opacity;
      context.imageSmoothingEnabled = this.#scale < SHARP_ZOOM;
      context.drawImage(canvas, 0, 0, this.#frame.width, this.#frame.height);
      context.globalAlpha = 1;
    }
    const previews = preview ? (Array.isArray(preview) ? preview : [{ mask: preview, object_id: 0 }]) : [];
    for (const shown of previews) this.#drawMask(context, shown);
    if (this.look.labels) this.#drawChips(context);
    if (box) this.#drawBox(context, box.box, box.object_id ?? 0, box.pending, now);
    if (this.#draft) this.#drawBox(context, this.#draft, 0, false, now);
    for (const point of points) this.#drawPoint(context, point, now);
    if (cursor) this.#drawCursor(context, cursor);
    if (this.#crosshair) this.#drawCrosshair(context, this.#crosshair);
  }

  /** Labels above their masks, at the size of the page's text. */
  #drawChips(context) {
    const taken = [];
    const room = {
      x: this.#layers.marks.canvas.width / this.#ratio,
      y: this.#layers.marks.canvas.height / this.#ratio,
    };
    context.save();
    context.setTransform(this.#ratio, 0, 0, this.#ratio, 0, 0);
    context.font = CHIP_FONT;
    context.textBaseline = "middle";
    const narrow = room.x < NARROW;
    for (const { object_id: objectId, label, mask, presence, box, dim } of this.#frame.masks) {
      if (!mask || !box || !box[2] || dim) continue;
      const name = label && !narrow ? `${objectId}  ${shorten(label)}` : String(objectId);
      const share = narrow || presence === undefined || presence === null ? "" : `${Math.round(100 * presence)} %`;
      const nameWidth = context.measureText(name).width;
      const width = nameWidth + 14 + (share ? context.measureText(share).width + 8 : 0);
      let x = this.#x + box[0] * this.#scale;
      let y = this.#y + box[1] * this.#scale - 24;
      x = Math.max(4, Math.min(x, room.x - width - 4));
      y = Math.max(4, Math.min(y, room.y - 24));
      for (const other of taken) {
        if (x < other.x + other.width && other.x < x + width && Math.abs(y - other.y) < 21) y = other.y + 22;
      }
      taken.push({ x, y, width });
      context.globalAlpha = 0.94;
      context.fillStyle = css(objectId);
      context.beginPath();
      context.roundRect(x, y, width, 20, 6);
      context.fill();
      context.globalAlpha = 1;
      context.fillStyle = textOn(objectId);
      context.fillText(name, x + 7, y + 10.5);
      if (share) context.fillText(share, x + 7 + nameWidth + 8, y + 10.5);
    }
    context.restore();
  }

  #drawPoint(context, { x, y, positive, pending, refused, object_id: objectId = 0 }, now) {
    const line = 1 / this.#scale;
    const [middleX, middleY] = [x + 0.5, y + 0.5];
    const circle = (radius) => {
      context.beginPath();
      context.arc(middleX, middleY, radius * line, 0, 2 * Math.PI);
    };
    circle(9);
    context.fillStyle = "rgb(0 0 0 / 0.35)";
    context.fill();
    circle(7.5);
    context.fillStyle = positive ? "#fff" : "#d92140";
    context.fill();
    context.lineWidth = 1.5 * line;
    context.strokeStyle = positive ? "rgb(0 0 0 / 0.7)" : "#fff";
    context.stroke();
    context.strokeStyle = positive ? "#0a7a3d" : "#fff";
    context.lineWidth = 2.2 * line;
    context.beginPath();
    context.moveTo(middleX - 3.5 * line, middleY);
    context.lineTo(middleX + 3.5 * line, middleY);
    if (positive) {
      context.moveTo(middleX, middleY - 3.5 * line);
      context.lineTo(middleX, middleY + 3.5 * line);
    }
    context.stroke();
    if (refused) {
      circle(14);
      context.strokeStyle = "#fff";
      context.lineWidth = 5 * line;
      context.stroke();
      context.strokeStyle = "#d92140";
      context.lineWidth = 3 * line;
      context.stroke();
    }
    if (pending) {
      const turn = STILL.matches ? 0 : now / 250;
      for (const [style, width] of [
        ["rgb(0 0 0 / 0.6)", 5],
        [objectId ? css(objectId) : "#fff", 2.5],
      ]) {
        context.strokeStyle = style;
        context.lineWidth = width * line;
        context.beginPath();
        context.arc(middleX, middleY, 14 * line, turn, turn + 1.4 * Math.PI);
        context.stroke();
      }
    }
  }

  #drawBox(context, [x, y, width, height], objectId, pending, now) {
    const line = 1 / this.#scale;
    context.strokeStyle = "rgb(0 0 0 / 0.6)";
    context.lineWidth = 4 * line;
    context.strokeRect(x, y, width, height);
    context.setLineDash(pending ? [8 * line, 5 * line] : []);
    context.lineDashOffset = pending && !STILL.matches ? (-now / 40) * line : 0;
    context.strokeStyle = objectId ? css(objectId) : "#fff";
    context.lineWidth = 2 * line;
    context.strokeRect(x, y, width, height);
    context.setLineDash([]);
  }

  #drawCursor(context, { x, y, radius }) {
    const line = 1 / this.#scale;
    for (const [style, width] of [
      ["rgb(0 0 0 / 0.6)", 3],
      ["#fff", 1.5],
    ]) {
      context.strokeStyle = style;
      context.lineWidth = width * line;
      context.beginPath();
      context.arc(x, y, radius, 0, 2 * Math.PI);
      context.stroke();
    }
  }

  #drawCrosshair(context, { x, y }) {
    const line = 1 / this.#scale;
    const [middleX, middleY] = [x + 0.5, y + 0.5];
    for (const [style, width] of [
      ["rgb(0 0 0 / 0.7)", 4],
      ["#fff", 1.5],
    ]) {
      context.strokeStyle = style;
      context.lineWidth = width * line;
      context.beginPath();
      for (const [stepX, stepY] of [
        [1, 0],
        [-1, 0],
        [0, 1],
        [0, -1],
      ]) {
        context.moveTo(middleX + 4 * stepX * line, middleY + 4 * stepY * line);
        context.lineTo(middleX + 18 * stepX * line, middleY + 18 * stepY * line);
      }
      context.stroke();
    }
  }
}

function shorten(label) {
  const letters = [...label];
  return letters.length > 24 ? `${letters.slice(0, 23).join("")}…` : label;
}
