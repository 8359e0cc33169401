// What an ambiguous click may mean, side by side: hovering shows one on the picture, a click takes it.

import { button } from "./button.js";
import { contourPath } from "./contours.js";
import { css } from "./colours.js";
import { element } from "./element.js";
import { Emitter } from "./emitter.js";
import { boxOf } from "./run_lengths.js";

const [WIDTH, HEIGHT] = [120, 90]; // CSS pixels of a small picture

/** Emits "hover" (index or null), "take" (index), "close". */
export class Candidates extends Emitter {
  #tray;
  #host;

  constructor(host) {
    super();
    this.#host = host;
  }

  get open() {
    return Boolean(this.#tray);
  }

  /**
   * Shows candidates of a click.
   *
   * @param {{bitmap, width, height}} picture that was clicked on
   * @param {number} objectId whose colour they have
   * @param {Array<{iou: number, mask: Object}>} candidates
   * @param {number|null} taken index of the one that holds already
   * @param {boolean} above at the upper edge, so that what was clicked is not covered
   */
  show(picture, objectId, candidates, taken = null, above = false) {
    this.#remove();
    this.#host.classList.toggle("is-above", above);
    const part = surroundings(picture, candidates);
    const cards = candidates.map(({ mask, iou }, index) => {
      const canvas = element("canvas", { width: 2 * WIDTH, height: 2 * HEIGHT, "aria-hidden": "true" });
      draw(canvas, picture, part, mask, objectId);
      return element(
        "button",
        {
          type: "button",
          class: "candidate",
          "aria-pressed": String(index === taken),
          "aria-label": `Candidate ${index + 1}, quality ${Math.round(100 * iou)} percent`,
          dataset: { candidate: String(index) },
          onclick: () => this.emit("take", index),
          onpointerenter: () => this.emit("hover", index),
          onpointerleave: () => this.emit("hover", null),
          onfocus: () => this.emit("hover", index),
          onblur: () => this.emit("hover", null),
        },
        canvas,
        element("span", {}, `${Math.round(100 * iou)} %`),
      );
    });
    this.#tray = element(
      "div",
      { class: "candidates", role: "group", "aria-label": "What the click may mean" },
      element("span", { class: "candidates-title" }, "Which one?"),
      ...cards,
      button({ icon: "close", name: "Keep this one", key: "Escape", run: () => this.close() }),
    );
    this.#tray.addEventListener("keydown", (event) => this.#key(event));
    this.#host.append(this.#tray);
  }

  /** Puts the keyboard onto the first one that is not taken. */
  focus() {
    this.#tray?.querySelector(".candidate[aria-pressed=false]")?.focus();
  }

  close() {
    if (!this.#tray) return;
    this.#remove();
    this.emit("close");
  }

  #remove() {
    this.#tray?.remove();
    this.#tray = null;
  }

  #key(event) {
    const cards = [...this.#tray.querySelectorAll(".candidate")];
    const at = cards.indexOf(document.activeElement);
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step && at >= 0) {
      event.preventDefault();
      cards[(at + step + cards.length) % cards.length].focus();
    }
  }
}

/** The part of the picture around all candidates: [x, y, width, height], of the small pictures' shape. */
function surroundings({ width, height }, candidates) {
  const boxes = candidates.map(({ mask }) => boxOf(mask)).filter(Boolean);
  const left = Math.min(width, ...boxes.map(([x]) => x));
  const top = Math.min(height, ...boxes.map(([, y]) => y));
  const right = Math.max(0, ...boxes.map(([x, , w]) => x + w));
  const bottom = Math.max(0, ...boxes.map(([, y, , h]) => y + h));
  if (!boxes.length) return [0, 0, width, height];
  const shape = WIDTH / HEIGHT;
  let partHeight = Math.max((bottom - top) * 1.3, ((right - left) * 1.3) / shape, 48);
  partHeight = Math.min(partHeight, height, width / shape);
  const partWidth = partHeight * shape;
  const within = (middle, size, whole) => Math.min(Math.max(middle - size / 2, 0), whole - size);
  return [
    within((left + right) / 2, partWidth, width),
    within((top + bottom) / 2, partHeight, height),
    partWidth,
    partHeight,
  ];
}

function draw(canvas, { bitmap, width }, [x, y, partWidth, partHeight], mask, objectId) {
  const context = canvas.getContext("2d");
  const ratio = bitmap.width / width;
  const scale = canvas.width / partWidth;
  context.drawImage(
    bitmap,
    x * ratio,
    y * ratio,
    partWidth * ratio,
    partHeight * ratio,
    0,
    0,
    canvas.width,
    canvas.height,
  );
  context.fillStyle = "rgb(0 0 0 / 0.35)";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.setTransform(scale, 0, 0, scale, -x * scale, -y * scale);
  const path = contourPath(mask);
  context.save();
  context.clip(path, "evenodd");
  context.drawImage(bitmap, 0, 0, width, (bitmap.height * width) / bitmap.width);
  context.restore();
  context.fillStyle = css(objectId, 0.4);
  context.fill(path, "evenodd");
  context.lineWidth = 4 / scale;
  context.strokeStyle = css(objectId);
  context.stroke(path);
}
