// Ways through the recording: to other frames and objects.

import { sentence } from "./project.js";

export class Navigation {
  #project;
  #player;
  #phases;
  #annotating;
  #objects;
  #timeline;
  #notices;
  #annotated;
  #unsure = null; // frame to which somebody was led last, because the model is unsure there

  /** @param {number[]} annotated frames that are annotated one by one in phase 1 */
  constructor({ project, player, phases, annotating, objects, timeline }, notices, annotated) {
    this.#project = project;
    this.#player = player;
    this.#phases = phases;
    this.#annotating = annotating;
    this.#objects = objects;
    this.#timeline = timeline;
    this.#notices = notices;
    this.#annotated = annotated;
  }

  first() {
    this.#player.go(this.#player.first);
  }

  last() {
    this.#player.go(this.#player.last);
  }

  /** A step back (-1) or on (1): in phase 1 to the next frame that is annotated. */
  step(by) {
    if (this.#phases.phase !== 1) return this.#player.step(by);
    const next = this.#next(this.#annotated, by);
    if (next !== undefined) this.#player.go(next);
  }

  /** To the next frame on which somebody has made the selected object's mask, or that of any object. */
  mark(by) {
    const { selected } = this.#annotating;
    const ids = selected === null ? [...this.#project.objects.keys()] : [selected];
    const frames = [...new Set(ids.flatMap((objectId) => this.#timeline.marks(objectId)))].sort((a, b) => a - b);
    this.#player.go(this.#next(frames, by) ?? (by > 0 ? this.#player.last : this.#player.first));
  }

  /** To the next annotated frame without a mask of the selected object. */
  nextWithout() {
    const known = new Set();
    for (const [first, last] of this.#project.runs.get(this.#annotating.selected) ?? []) {
      for (let frame = first; frame <= last; frame++) known.add(frame);
    }
    const frames = this.#annotated.filter((frame) => !known.has(frame));
    const next = this.#next(frames, 1) ?? frames[0];
    if (next === undefined) this.#notices.say("Every annotated frame has a mask of this object.");
    else this.#player.go(next);
  }

  /** To the nearest frame that is annotated in phase 1. */
  toAnnotated() {
    const { frame } = this.#player;
    if (this.#annotated.includes(frame)) return;
    this.#player.go(nearest(this.#annotated, frame));
  }

  /** To where the model is least sure of the selected object, or of any; the next time to the next such place. */
  async unsure() {
    const after = this.#unsure === this.#player.frame ? this.#unsure : null;
    try {
      const place = await this.#project.ask("unsure", { object_id: this.#annotating.selected, after });
      if (place.frame === null) return this.#notices.say("There is nothing left that the model is unsure of.");
      this.#unsure = place.frame;
      this.#player.go(place.frame);
      this.#annotating.select(place.object_id);
      const label = this.#project.label(place.object_id);
      this.#notices.say(`${label}, frame ${place.frame}: predicted IoU ${place.iou.toFixed(2)}`);
    } catch (error) {
      this.#notices.refuse(sentence(error.message));
    }
  }

  /** Select an object; to a frame on which it is visible, if it is not on the one on the screen. */
  select(objectId) {
    this.#annotating.select(objectId);
    if (objectId === null) return;
    const runs = (this.#project.runs.get(objectId) ?? []).filter((run) => run[3]);
    const { frame } = this.#player;
    if (!runs.length || runs.some(([first, last]) => first <= frame && frame <= last)) return;
    this.#player.go(
      nearest(
        runs.flatMap(([first, last]) => [first, last]),
        frame,
      ),
    );
  }

  selectNumber(objectId) {
    if (this.#project.objects.has(objectId)) this.select(objectId);
  }

  /** Select the object before (-1) or after (1) in the list. */
  selectBeside(by) {
    const { order } = this.#objects;
    if (!order.length) return;
    const at = order.indexOf(this.#annotating.selected);
    this.select(order[at < 0 ? (by > 0 ? 0 : order.length - 1) : (at + by + order.length) % order.length]);
  }

  #next(frames, by) {
    const { frame } = this.#player;
    return by > 0 ? frames.find((other) => other > frame) : frames.findLast((other) => other < frame);
  }
}

/** The one of some frames that is nearest. */
export function nearest(frames, frame) {
  return frames.reduce((best, other) => (Math.abs(other - frame) < Math.abs(best - frame) ? other : best));
}
