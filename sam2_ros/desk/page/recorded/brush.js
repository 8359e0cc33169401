// Brush and eraser: masks by hand. Strokes can be taken back until the mask is saved.

import { colour } from "../colours.js";
import { Emitter } from "../emitter.js";
import { PaintedMask } from "./painted_mask.js";

const SMALLEST = 1;
const LARGEST = 200;
/** Radius of an outline, image pixels. */
const LINE = 1;

/** `change`: what is painted, or the brush's size, has changed. */
export class Brush extends Emitter {
  #annotating;
  #painted = null;
  #erasing = false; // in the stroke that is being made

  /** "brush", "eraser", "outline" or null: the pointer points. */
  tool = null;
  /** Radius, image pixels. */
  radius;
  /** Of which object (null: a new one) and frame a mask is being painted. */
  objectId = null;
  frame = null;
  /** Whether somebody else has changed the mask meanwhile: it is shown, and saving once more takes its place. */
  conflict = false;
  #seen = 0; // the last action before the first stroke

  constructor(annotating, settings) {
    super();
    this.#annotating = annotating;
    this.settings = settings;
    this.radius = settings.get("brush", 12);
  }

  /** What is painted and not saved, as a canvas in image pixels; null: nothing. */
  get canvas() {
    return this.#painted?.canvas ?? null;
  }

  get changed() {
    return Boolean(this.#painted?.changed);
  }

  choose(tool) {
    this.tool = tool;
    this.emit("change");
  }

  resize(factor) {
    this.setRadius(Math.max(this.radius * factor, this.radius + Math.sign(factor - 1)));
  }

  setRadius(radius) {
    this.radius = Math.max(SMALLEST, Math.min(LARGEST, Math.round(radius)));
    this.settings.set("brush", this.radius);
    this.emit("change");
  }

  /**
   * A stroke on the picture, of a stage.
   *
   * @param stroke {phase: "begin"|"move"|"end"|"cancel", points: [[x, y]], erase}
   * @param on {objectId, nextId, frame, height, width, mask, seen}: what is on the screen.
   */
  stroke({ phase, points, erase }, on) {
    if (phase === "cancel") {
      this.undo();
      return;
    }
    if (phase === "begin") {
      if (!this.#painted || this.objectId !== on.objectId || this.frame !== on.frame) {
        [this.objectId, this.frame, this.#seen, this.conflict] = [on.objectId, on.frame, on.seen, false];
        this.#painted = new PaintedMask(on.height, on.width, on.mask, colour(on.objectId ?? on.nextId));
      }
      this.#erasing = Boolean(erase) !== (this.tool === "eraser");
    }
    if (!this.#painted) return;
    const radius = this.tool === "outline" ? LINE : this.radius;
    points.forEach(([x, y], index) => {
      if (phase === "begin" && index === 0) this.#painted.begin(x, y, radius, !this.#erasing);
      else this.#painted.move(x, y, radius, !this.#erasing);
    });
    if (phase === "end" && this.tool === "outline") this.#painted.fill(!this.#erasing);
    this.emit("change");
  }

  get canRedo() {
    return Boolean(this.#painted?.canRedo);
  }

  undo() {
    this.#painted?.undo();
    if (!this.changed && !this.canRedo) this.#painted = null;
    this.emit("change");
  }

  redo() {
    this.#painted?.redo();
    this.emit("change");
  }

  /** Store what was painted. Also done when somebody goes to another frame or object: nothing painted is lost. */
  async save() {
    if (!this.changed) return this.discard();
    const [objectId, frame, painted] = [this.objectId, this.frame, this.#painted];
    if (objectId === null && painted.empty) return this.discard();
    this.#painted = null;
    const saved = await this.#annotating.draw(objectId, frame, painted.mask(), this.#seen);
    if (!saved && !this.#painted) {
      [this.objectId, this.frame, this.#painted] = [objectId, frame, painted]; // refused: it is still there
      [this.#seen, this.conflict] = [this.#annotating.lastAction, true];
    }
    this.emit("change");
    return saved;
  }

  /** Forget what can be painted on, if nothing was: the mask has changed. */
  refresh() {
    if (this.#painted && !this.changed) this.discard();
  }

  discard() {
    this.#painted = null;
    this.conflict = false;
    this.emit("change");
  }
}
