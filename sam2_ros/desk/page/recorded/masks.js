// The masks of a project, fetched in stretches of frames, and again where somebody has changed them.

import { Emitter } from "../emitter.js";

/** Frames that are fetched together. */
const STRETCH = 12;
/** Stretches that are kept, and that are fetched ahead: the server answers 16 requests of a page at once. */
const KEPT = 400;
const AHEAD = 8;
/** A stretch that could not be fetched is asked for again after so long, milliseconds. */
const PATIENCE = 1000;

/** `change` ([first, last]): masks have come, or somebody has changed them. */
export class Masks extends Emitter {
  #ask;
  #frames;
  #stretches = new Map(); // number -> {masks: Map(frame -> masks), asOf, stale, loading}, the least recently used first

  /**
   * @param ask sends a request `masks {first, last}`; resolves with {masks, asOf}: asOf is the last action that is
   *   certainly in it.
   * @param {number} frames of the recording.
   */
  constructor(ask, frames) {
    super();
    this.#ask = ask;
    this.#frames = frames;
  }

  /** The masks of a frame as far as they are known, also while they are fetched again; null: not yet. */
  at(frame) {
    const stretch = this.#stretches.get(this.#number(frame));
    return stretch?.masks ? (stretch.masks.get(frame) ?? []) : null;
  }

  of(objectId, frame) {
    return this.at(frame)?.find((mask) => mask.object_id === objectId) ?? null;
  }

  /** The last action that is certainly in what is shown of a frame. */
  asOf(frame) {
    return this.#stretches.get(this.#number(frame))?.asOf ?? 0;
  }

  ready(frame) {
    return this.#stretches.get(this.#number(frame))?.masks !== undefined;
  }

  /** The masks of a frame, when they are here. */
  async load(frame) {
    const number = this.#number(frame);
    const stretch = this.#stretches.get(number) ?? {};
    this.#stretches.delete(number); // to the end, as the most recently used
    this.#stretches.set(number, stretch);
    for (const old of this.#stretches.keys()) {
      if (this.#stretches.size <= KEPT) break;
      this.#stretches.delete(old);
    }
    const tried = performance.now() - (stretch.failed ?? -PATIENCE) < PATIENCE;
    if ((!stretch.masks || stretch.stale) && !tried) await this.#fetch(number, stretch);
    return stretch.masks?.get(frame) ?? [];
  }

  /** Fetch what is `count` frames ahead in a direction. */
  ahead(frame, direction, count) {
    const first = this.#number(Math.max(0, Math.min(this.#frames - 1, frame)));
    const last = this.#number(Math.max(0, Math.min(this.#frames - 1, frame + Math.sign(direction) * count)));
    for (let step = 0; step <= Math.min(Math.abs(last - first), AHEAD); step++) {
      this.load((first + step * Math.sign(direction)) * STRETCH).catch(() => {}); // asked again when it is shown
    }
  }

  /** A mask that an action has answered with: shown at once, before the stretch is fetched again. */
  put(frame, mask) {
    const known = this.#stretches.get(this.#number(frame))?.masks;
    if (!known) return;
    const others = (known.get(frame) ?? []).filter((other) => other.object_id !== mask.object_id);
    known.set(
      frame,
      [...others, mask].sort((a, b) => a.object_id - b.object_id),
    );
    this.emit("change", [frame, frame]);
  }

  /** Somebody has changed masks of these frames; null: of all. They are fetched when they are shown. */
  forget(span) {
    const [first, last] = span ?? [0, this.#frames - 1];
    for (const [number, stretch] of this.#stretches) {
      if (number >= this.#number(first) && number <= this.#number(last)) {
        stretch.stale = true;
        stretch.failed = null;
        stretch.wanted = (stretch.wanted ?? 0) + 1;
      }
    }
    this.emit("change", [first, last]);
  }

  async #fetch(number, stretch) {
    if (stretch.loading) return stretch.loading;
    const first = number * STRETCH;
    const last = Math.min(first + STRETCH, this.#frames) - 1;
    const wanted = stretch.wanted;
    stretch.loading = this.#ask(first, last)
      .then(({ masks, asOf }) => {
        stretch.masks = new Map(Object.entries(masks).map(([frame, all]) => [Number(frame), all]));
        stretch.asOf = asOf;
        stretch.stale = stretch.wanted !== wanted; // changed again while it was on its way
        stretch.loading = stretch.failed = null;
        this.emit("change", [first, last]);
      })
      .catch((error) => {
        stretch.loading = null;
        stretch.failed = performance.now();
        setTimeout(() => this.emit("change", [first, last]), PATIENCE); // who shows them asks again
        throw error;
      });
    return stretch.loading;
  }

  #number(frame) {
    return Math.floor(frame / STRETCH);
  }
}
