// The whole recording, a row for each object: where it is visible, what made its masks, how sure the model is.

import { element } from "../element.js";
import { Emitter } from "../emitter.js";

/** Height of a row, pixels; of the bar in it; and the frames' scale above. */
const ROW = 22;
const BAR = 14;
const RULER = 22;
/** How near to a mark a pointer has to be to take it, pixels. */
const NEAR = 5;
/** Predicted IoU from which a bar has its least height. */
const LOW = 0.5;

/** Of the origins of masks, as in film strips. */
const ORIGINS = {
  automatic: { colour: "rgb(142 128 196)", says: "automatic" },
  propagated: { colour: "rgb(92 150 204)", says: "propagated" },
  prompted: { colour: "rgb(232 150 28)", says: "by clicks or a box" },
  drawn: { colour: "rgb(212 76 60)", says: "drawn by hand" },
};
const BY_HAND = ["prompted", "drawn"];

/** `go` (frame): somebody points at a frame; `select` (object ID): at an object's row. */
export class RecordingTimeline extends Emitter {
  #rows = []; // {object_id, label, colour, runs}
  #first;
  #frames; // how many
  #fps;
  #frame = 0;
  #selected = null;
  #ticks = [];
  #damaged = new Set();
  #drawing = false;
  #told = ""; // what the names were made of

  /**
   * @param {HTMLElement} host
   * @param {number[]} span first and last frame
   */
  constructor(host, [first, last], fps) {
    super();
    [this.#first, this.#frames, this.#frame] = [first, last - first + 1, first];
    this.#fps = fps;
    this.ruler = element("canvas", {
      class: "rt-ruler",
      role: "slider",
      tabindex: 0,
      "aria-label": "Frame",
      "aria-valuemin": first,
      "aria-valuemax": last,
    });
    this.names = element("div", { class: "rt-names", role: "group", "aria-label": "Objects" });
    // hidden: objects and marks are reached by keys, and listed in the panel
    this.bars = element("canvas", { class: "rt-bars", "aria-hidden": "true" });
    this.rows = element("div", { class: "rt-rows" }, this.names, this.bars);
    this.cursor = element("div", { class: "rt-cursor" });
    this.tip = element("div", { class: "rt-tip", hidden: true });
    this.corner = element("div", { class: "rt-corner" });
    this.element = element(
      "div",
      { class: "recording-timeline" },
      this.corner,
      this.ruler,
      this.rows,
      this.cursor,
      this.tip,
    );
    host.append(this.element);
    for (const canvas of [this.ruler, this.bars]) this.#listen(canvas);
    this.ruler.addEventListener("keydown", (event) => this.#key(event));
    new ResizeObserver(() => this.draw()).observe(this.element);
    new MutationObserver(() => this.draw()).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  }

  /** @param rows [{object_id, label, colour, runs: [[first, last, origin, present, iou]], dim}] */
  show(rows) {
    this.#rows = rows;
    const told = JSON.stringify(rows.map(({ object_id: objectId, label, dim }) => [objectId, label, dim]));
    if (told !== this.#told) {
      this.#told = told;
      this.#showNames();
    }
    this.element.classList.toggle("empty", rows.length === 0);
    this.select(this.#selected);
    this.draw();
  }

  #showNames() {
    const focused = document.activeElement?.closest(".rt-name")?.dataset.object;
    const names = this.#rows.map((row) => {
      const chip = element("span", { class: "chip" });
      chip.style.setProperty("--object", row.colour);
      return element(
        "button",
        {
          type: "button",
          class: row.dim ? "rt-name dim" : "rt-name",
          title: `${row.object_id} ${row.label}`.trim(),
          dataset: { object: row.object_id },
          onclick: () => this.emit("select", row.object_id),
        },
        chip,
        element("span", { class: "rt-label" }, row.label || `Object ${row.object_id}`),
      );
    });
    this.names.replaceChildren(...names);
    names.find((name) => name.dataset.object === focused)?.focus();
  }

  select(objectId) {
    const other = objectId !== this.#selected;
    this.#selected = objectId;
    for (const name of this.names.children) {
      const chosen = Number(name.dataset.object) === objectId;
      name.setAttribute("aria-pressed", String(chosen));
      if (chosen && other) this.#scrollTo(name);
    }
    this.draw();
  }

  /** Frames that have ticks on the scale: those that are annotated one by one. */
  tick(frames) {
    this.#ticks = frames;
    this.draw();
  }

  damaged(frames) {
    this.#damaged = new Set(frames);
    this.draw();
  }

  go(frame) {
    this.#frame = frame;
    this.ruler.setAttribute("aria-valuenow", String(frame));
    this.ruler.setAttribute("aria-valuetext", `frame ${frame}, ${this.#time(frame)}`);
    this.#placeCursor();
  }

  /** The frames on which somebody has made the mask of an object, ascending. */
  marks(objectId) {
    const row = this.#rows.find((other) => other.object_id === objectId);
    const frames = [];
    for (const [first, last, origin] of row?.runs ?? []) {
      if (BY_HAND.includes(origin)) for (let frame = first; frame <= last; frame++) frames.push(frame);
    }
    return frames.sort((a, b) => a - b);
  }

  /** Draw before the next picture of the screen. */
  draw() {
    if (this.#drawing) return;
    this.#drawing = true;
    requestAnimationFrame(() => {
      this.#drawing = false;
      this.#drawRuler();
      this.#drawBars();
      this.#placeCursor();
    });
  }

  #scrollTo(name) {
    const top = name.offsetTop;
    if (top < this.rows.scrollTop) this.rows.scrollTop = top;
    else if (top + ROW > this.rows.scrollTop + this.rows.clientHeight) {
      this.rows.scrollTop = top + ROW - this.rows.clientHeight;
    }
  }

  #placeCursor() {
    const left = this.ruler.offsetLeft;
    const width = this.ruler.clientWidth;
    this.cursor.style.transform = `translateX(${left + (width * (this.#frame - this.#first + 0.5)) / this.#frames}px)`;
  }

  #drawRuler() {
    const [context, width, style] = prepared(this.ruler, RULER);
    const each = width / this.#frames;
    context.fillStyle = style.getPropertyValue("--timeline-track");
    context.fillRect(0, RULER - 3, width, 2);
    context.fillStyle = style.getPropertyValue("--timeline-damaged");
    for (const frame of this.#damaged) context.fillRect(each * (frame - this.#first), RULER - 6, Math.max(2, each), 5);
    context.fillStyle = style.getPropertyValue("--accent") || style.color;
    for (const frame of this.#ticks) context.fillRect(each * (frame - this.#first + 0.5) - 0.5, RULER - 6, 1, 5);
    context.font = `11px ${style.fontFamily}`;
    context.fillStyle = style.color;
    const begin = this.#first / this.#fps;
    const seconds = this.#frames / this.#fps;
    const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600].find(
      (candidate) => (width * candidate) / seconds >= 64,
    );
    for (let tick = Math.ceil(begin / step); step && tick * step < begin + seconds; tick++) {
      const time = tick * step;
      const x = each * (time - begin) * this.#fps;
      context.globalAlpha = 0.35;
      context.fillRect(x, RULER - 9, 1, 6);
      context.globalAlpha = 1;
      const text = clock(time, step);
      if (x + 8 + context.measureText(text).width < width) context.fillText(text, x + 8, 11);
    }
  }

  #drawBars() {
    const height = Math.max(ROW, this.#rows.length * ROW);
    const [context, width, style] = prepared(this.bars, height);
    const each = width / this.#frames;
    const track = style.getPropertyValue("--timeline-track");
    const chosen = style.getPropertyValue("--timeline-chosen");
    const paper = style.getPropertyValue("--timeline-paper");
    this.#rows.forEach((row, number) => {
      const bottom = number * ROW + (ROW + BAR) / 2;
      if (row.object_id === this.#selected) {
        context.fillStyle = chosen;
        context.fillRect(0, number * ROW, width, ROW);
      }
      context.fillStyle = track;
      context.fillRect(0, bottom - 1, width, 1);
      context.globalAlpha = row.dim ? 0.45 : 1;
      for (const [first, last, origin, present, iou] of row.runs) {
        if (BY_HAND.includes(origin)) continue;
        const sure = Math.max(0, Math.min(1, (iou - LOW) / (1 - LOW)));
        const high = present ? BAR * (0.3 + 0.7 * sure) : 2;
        context.fillStyle = ORIGINS[origin]?.colour ?? track;
        // wider by a little, so that neighbours meet without a gap
        context.fillRect(each * (first - this.#first), bottom - high, each * (last - first + 1) + 0.3, high);
      }
      for (const [first, last, origin, present] of row.runs) {
        if (!BY_HAND.includes(origin)) continue;
        context.fillStyle = ORIGINS[origin].colour;
        for (let frame = first; frame <= last; frame++) {
          const wide = Math.max(3, each);
          const left = each * (frame - this.#first + 0.5) - wide / 2;
          const high = present ? BAR + 2 : 4;
          context.fillRect(left, bottom - high, wide, high);
          if (each < 12) mark(context, left + wide / 2, bottom - BAR - 1, paper);
        }
      }
      context.globalAlpha = 1;
    });
  }

  #key(event) {
    const page = Math.max(1, Math.round(this.#frames / 20));
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, PageDown: -page, PageUp: page }[event.key];
    if (!by) return;
    event.preventDefault();
    this.emit("go", this.#frame + by);
  }

  #listen(canvas) {
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      const each = box.width / this.#frames;
      const row = canvas === this.bars ? this.#rows[Math.floor((event.clientY - box.top) / ROW)] : undefined;
      let frame = this.#first + Math.max(0, Math.min(this.#frames - 1, Math.floor((event.clientX - box.left) / each)));
      const marks = row ? this.marks(row.object_id) : [];
      const near = marks.reduce(
        (best, other) => (Math.abs(other - frame) < Math.abs(best - frame) ? other : best),
        -1e9,
      );
      if (Math.abs(near - frame) * each <= NEAR) frame = near;
      return { frame, row };
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      const { frame, row } = at(event);
      canvas.setPointerCapture(event.pointerId);
      if (row) this.emit("select", row.object_id);
      this.emit("go", frame);
    });
    canvas.addEventListener("pointermove", (event) => {
      const { frame, row } = at(event);
      if (event.buttons & 1 && canvas.hasPointerCapture(event.pointerId)) this.emit("go", frame);
      this.#showTip(event, frame, row);
    });
    canvas.addEventListener("pointerleave", () => (this.tip.hidden = true));
  }

  #showTip(event, frame, row) {
    const run = row?.runs.find(([first, last]) => first <= frame && frame <= last);
    const said = [`frame ${frame}`, this.#time(frame)];
    if (this.#damaged.has(frame)) said.push("damaged");
    if (row) {
      said.push(run ? (run[3] ? ORIGINS[run[2]].says : `${ORIGINS[run[2]].says}: not visible`) : "no mask yet");
      if (run?.[3] && run[2] !== "drawn") said.push(`IoU ${run[4].toFixed(2)}`);
    }
    this.tip.textContent = said.join(" · ");
    this.tip.hidden = false;
    const box = this.element.getBoundingClientRect();
    const half = this.tip.offsetWidth / 2;
    const x = Math.max(half, Math.min(box.width - half, event.clientX - box.left));
    this.tip.style.transform = `translate(${x - half}px, ${-this.tip.offsetHeight - 4}px)`;
  }

  #time(frame) {
    return `${(frame / this.#fps).toFixed(2)} s`;
  }
}

/** A canvas made as fine as the screen: its context in CSS pixels, its width and its style. */
function prepared(canvas, height) {
  const style = getComputedStyle(canvas);
  const scale = devicePixelRatio || 1;
  canvas.style.height = `${height}px`;
  const width = canvas.clientWidth;
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.round(height * scale);
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  return [context, width, style];
}

/** A small triangle above a frame that somebody has annotated. */
function mark(context, x, top, paper) {
  context.beginPath();
  context.moveTo(x - 4, top - 4);
  context.lineTo(x + 4, top - 4);
  context.lineTo(x, top + 1);
  context.closePath();
  context.strokeStyle = paper;
  context.lineWidth = 1;
  context.stroke();
  context.fill();
}

function clock(seconds, step) {
  if (seconds >= 60 && step >= 1) {
    return `${Math.floor(seconds / 60)}:${String(Math.round(seconds % 60)).padStart(2, "0")}`;
  }
  return step < 1 ? `${seconds.toFixed(1)} s` : `${Math.round(seconds)} s`;
}
