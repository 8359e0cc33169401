// Objects over time: a row for each, its presence drawn small, prompts as marks, a cursor; a click jumps there.

import { css, textOn } from "./colours.js";
import { element, setAttribute, setText } from "./element.js";
import { Emitter } from "./emitter.js";

const ROW = 26; // CSS pixels
const NAMES = { prompt: "prompt", correction: "correction", removed: "removed" };

/** Emits "jump" (time), "choose" (object ID), while it is dragged "jump" again and again. */
export class Timeline extends Emitter {
  #host;
  #names = element("div", { class: "timeline-names" });
  #canvas = element("canvas", { class: "timeline-canvas" });
  #rows = new Map();
  #content = { from: 0, to: 1, cursor: null, reachable: null, rows: [] };
  #request = 0;
  #format;

  /**
   * @param {HTMLElement} host
   * @param {{format: function(number): string, name: string, step: number, empty: string}} options format: a time as
   *   text; step: how far an arrow key goes; empty: what is said while there are no rows
   */
  constructor(host, { format, name = "Time", step = 1, empty = "" }) {
    super();
    this.#format = format;
    this.#canvas.tabIndex = 0;
    this.#canvas.setAttribute("role", "slider");
    this.#canvas.setAttribute("aria-label", name);
    this.#host = element(
      "div",
      { class: "timeline" },
      this.#names,
      element("div", { class: "timeline-track" }, this.#canvas),
    );
    if (empty) this.#host.append(element("p", { class: "timeline-empty" }, empty));
    host.append(this.#host);
    new ResizeObserver(() => this.#draw()).observe(this.#host);
    this.#canvas.addEventListener("pointerdown", (event) => {
      this.#canvas.setPointerCapture(event.pointerId);
      this.#jump(event);
    });
    this.#canvas.addEventListener("pointermove", (event) => {
      if (event.buttons & 1) this.#jump(event);
      this.#hover(event);
    });
    this.#canvas.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -step, ArrowRight: step, PageUp: 10 * step, PageDown: -10 * step }[event.key];
      if (!by) return;
      event.preventDefault();
      this.emit("jump", (this.#content.cursor ?? this.#content.to) + by);
    });
  }

  /**
   * Shows this.
   *
   * @param {Object} content
   * @param {number} content.from time at the left edge
   * @param {number} content.to time at the right edge
   * @param {number|null} content.cursor time that is on the screen
   * @param {[number, number]|null} content.reachable where a jump is possible; null: everywhere
   * @param {number|null} content.chosen object ID
   * @param {Array<Object>} content.rows each {object_id, label, samples: [[time, 0 .. 1, or null where it ends]],
   *   marks: [{time, kind: "prompt"|"correction"|"removed"}], faint}
   */
  show(content) {
    this.#content = content;
    this.#showNames();
    this.#draw();
  }

  #showNames() {
    const { rows, chosen } = this.#content;
    const ids = new Set(rows.map((row) => row.object_id));
    for (const [objectId, made] of this.#rows) {
      if (!ids.has(objectId)) {
        made.remove();
        this.#rows.delete(objectId);
      }
    }
    rows.forEach(({ object_id: objectId, label }, index) => {
      let made = this.#rows.get(objectId);
      if (!made) {
        made = element(
          "button",
          { type: "button", class: "timeline-name", onclick: () => this.emit("choose", objectId) },
          element("span", { class: "chip" }, String(objectId)),
          element("span", { class: "label" }),
        );
        made.style.setProperty("--object", css(objectId));
        made.style.setProperty("--on-object", textOn(objectId));
        this.#rows.set(objectId, made);
      }
      if (this.#names.children[index] !== made) this.#names.insertBefore(made, this.#names.children[index] ?? null);
      setText(made.lastChild, label || `Object ${objectId}`);
      setAttribute(made, "aria-pressed", String(objectId === chosen));
    });
  }

  #jump(event) {
    this.emit("jump", this.#timeAt(event));
  }

  #timeAt(event) {
    const place = this.#canvas.getBoundingClientRect();
    const part = Math.min(Math.max((event.clientX - place.left) / place.width, 0), 1);
    return this.#content.from + part * (this.#content.to - this.#content.from);
  }

  #hover(event) {
    const time = this.#timeAt(event);
    const { from, to, rows } = this.#content;
    const row = rows[Math.floor(event.offsetY / ROW)];
    const near = ((to - from) * 6) / Math.max(1, this.#canvas.clientWidth);
    const mark = row?.marks?.find((each) => Math.abs(each.time - time) < near);
    this.#canvas.title = `${this.#format(time)}${mark ? ` · ${NAMES[mark.kind] ?? mark.kind}` : ""}`;
  }

  #draw() {
    this.#request ||= requestAnimationFrame(() => {
      this.#request = 0;
      this.#drawNow();
    });
  }

  #drawNow() {
    const { from, to, cursor, reachable, rows, chosen } = this.#content;
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const width = this.#canvas.parentElement.clientWidth;
    const height = Math.max(1, rows.length) * ROW;
    const [pixelsX, pixelsY] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.#canvas.width !== pixelsX || this.#canvas.height !== pixelsY) {
      this.#canvas.width = pixelsX;
      this.#canvas.height = pixelsY;
      this.#canvas.style.height = `${height}px`;
    }
    setAttribute(this.#canvas, "aria-valuemin", from.toFixed(2));
    setAttribute(this.#canvas, "aria-valuemax", to.toFixed(2));
    setAttribute(this.#canvas, "aria-valuenow", (cursor ?? to).toFixed(2));
    setAttribute(this.#canvas, "aria-valuetext", this.#format(cursor ?? to));
    const context = this.#canvas.getContext("2d");
    const style = getComputedStyle(this.#host);
    const colour = (name) => style.getPropertyValue(name).trim();
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const x = (time) => ((time - from) / Math.max(to - from, 1e-9)) * width;
    rows.forEach((row, index) => {
      const top = index * ROW;
      context.fillStyle = colour(row.object_id === chosen ? "--row-chosen" : "--row");
      context.beginPath();
      context.roundRect(0, top + 2, width, ROW - 4, 5);
      context.fill();
      context.globalAlpha = row.faint ? 0.4 : 1;
      drawSamples(context, row, x, top);
      context.globalAlpha = 1;
      for (const mark of row.marks ?? [])
        drawMark(context, mark, x(mark.time), top + ROW / 2, colour("--text"), colour("--surface"));
    });
    if (reachable) {
      context.fillStyle = colour("--unreachable");
      context.fillRect(0, 0, x(reachable[0]), height);
    }
    if (cursor !== null && cursor !== undefined) {
      context.fillStyle = colour("--accent");
      context.fillRect(Math.min(Math.max(Math.round(x(cursor)) - 1, 0), width - 2), 0, 2, height);
    }
  }
}

function drawSamples(context, { object_id: objectId, samples }, x, top) {
  const [floor, height] = [top + ROW - 4, ROW - 9];
  const [filled, line] = [new Path2D(), new Path2D()];
  let last = null;
  for (const [time, value] of samples) {
    if (value === null) {
      if (last !== null) filled.lineTo(last, floor);
      last = null;
      continue;
    }
    const [placeX, placeY] = [x(time), floor - value * height];
    if (last === null) {
      filled.moveTo(placeX, floor);
      line.moveTo(placeX, placeY);
    }
    filled.lineTo(placeX, placeY);
    line.lineTo(placeX, placeY);
    last = placeX;
  }
  if (last !== null) filled.lineTo(last, floor);
  context.fillStyle = css(objectId, 0.45);
  context.fill(filled);
  context.strokeStyle = css(objectId);
  context.lineWidth = 1.5;
  context.stroke(line);
}

function drawMark(context, { kind }, x, y, ink, paper) {
  context.beginPath();
  if (kind === "removed") {
    context.moveTo(x - 4, y - 4);
    context.lineTo(x + 4, y + 4);
    context.moveTo(x + 4, y - 4);
    context.lineTo(x - 4, y + 4);
    context.strokeStyle = ink;
    context.lineWidth = 2;
    context.stroke();
    return;
  }
  if (kind === "correction") {
    context.moveTo(x, y - 5);
    context.lineTo(x + 5, y);
    context.lineTo(x, y + 5);
    context.lineTo(x - 5, y);
    context.closePath();
  } else context.arc(x, y, 4, 0, 2 * Math.PI);
  context.fillStyle = ink;
  context.strokeStyle = paper;
  context.lineWidth = 1.5;
  context.fill();
  context.stroke();
}
