// What somebody who points at the picture says: which object, in which phase, and what comes of it.

import { Emitter } from "../emitter.js";

/**
 * `selection`; `pending`: what waits for an answer has changed; `refused` ({frame, x, y, message}): beside where it was
 * pointed; `candidates` ({frame, object_id, prompt, candidates}): of an ambiguous click, the best first.
 */
export class Annotating extends Emitter {
  #project;
  #player;
  #phases;
  #line = Promise.resolve(); // one after the other: each answer goes on from the one before
  #beginning = 0;

  /** ID of the object that is pointed at; null: a new one. */
  selected = null;
  /** Label that a new object gets. */
  newLabel = "";
  /** Clicks and boxes without an answer yet: {frame, clicks, box}. */
  pending = [];

  constructor(project, player, phases) {
    super();
    this.#project = project;
    this.#player = player;
    this.#phases = phases;
    project.on("objects", () => {
      if (this.selected !== null && !project.objects.has(this.selected) && !this.#beginning) this.select(null);
    });
  }

  select(objectId) {
    if (objectId === this.selected) return;
    this.selected = objectId;
    this.emit("selection", objectId);
  }

  /** The selected object's mask on the frame on the screen, or null. */
  get mask() {
    return this.selected === null ? null : this.#project.masks.of(this.selected, this.#player.frame);
  }

  click(x, y, positive) {
    if (this.selected === null && !this.#beginning && !positive) {
      this.emit("refused", { frame: this.#player.frame, x, y, message: "A new object begins with a click on it." });
      return;
    }
    return this.#point({ clicks: [{ x, y, positive }], box: null, mask: null, replace: false });
  }

  box(box) {
    return this.#point({ clicks: [], box, mask: null, replace: true });
  }

  get lastAction() {
    return this.#project.lastAction;
  }

  /**
   * Store a mask that was drawn; without a pixel: the object is not visible on this frame.
   *
   * @param {number} seen the last action that was seen before it was drawn: what others did since is not overwritten
   */
  draw(objectId, frame, mask, seen) {
    return this.#after(async () => {
      const phase = this.#phases.phase;
      if (objectId === null) {
        const prompt = { clicks: [], box: null, mask, replace: false };
        return this.#begin({ frame, phase, prompt, label: this.newLabel });
      }
      const answer = await this.#project.change("draw", { object_id: objectId, frame, phase, mask, seen }, frame);
      if (answer) this.#project.masks.put(frame, answer.mask);
      return answer !== null;
    });
  }

  /** Say that the selected object is not visible on this frame. */
  absent(height, width) {
    if (this.selected === null) return;
    const { frame } = this.#player;
    return this.draw(this.selected, frame, { height, width, counts: [height * width] }, this.#project.seen(frame));
  }

  /** Forget the selected object's mask on this frame. */
  removeMask() {
    const [objectId, frame] = [this.selected, this.#player.frame];
    return this.#after(() => this.#project.change("remove_mask", { object_id: objectId, frame }, frame));
  }

  /** Take another one of the candidates of a click. */
  take({ frame, object_id: objectId, prompt }, choice) {
    return this.#after(async () => {
      const again = { ...prompt, replace: true };
      const fields = { object_id: objectId, frame, phase: this.#phases.phase, prompt: again, choice };
      const answer = await this.#project.change("segment", fields, frame);
      if (answer) this.#project.masks.put(frame, answer.mask);
      return answer !== null;
    });
  }

  #point(prompt) {
    const frame = this.#player.frame;
    const waiting = { frame, clicks: prompt.clicks, box: prompt.box };
    this.pending.push(waiting);
    this.emit("pending");
    const place = prompt.clicks[0] ?? { x: prompt.box[0], y: prompt.box[1] };
    const fresh = this.selected === null;
    return this.#after(async () => {
      // a second click on a new object, made before the first one was answered, belongs to it
      const objectId = this.selected;
      const phase = this.#phases.phase;
      try {
        if (objectId === null) return await this.#begin({ frame, phase, prompt, label: this.newLabel }, place);
        const known = this.#project.masks.of(objectId, frame);
        const type = phase === 3 ? "correct" : "segment";
        const answer = await this.#project.change(type, { object_id: objectId, frame, phase, prompt }, frame, true);
        if (!answer) {
          this.emit("refused", { frame, ...place, message: this.#project.refusal });
          return false;
        }
        this.#project.masks.put(frame, answer.mask);
        if (phase !== 3 && known?.origin !== "prompted") this.#offer(objectId, frame, prompt);
        return true;
      } finally {
        this.pending.splice(this.pending.indexOf(waiting), 1);
        this.emit("pending");
      }
    }, fresh);
  }

  async #begin(fields, place = null) {
    const answer = await this.#project.change("begin", fields, null, place !== null);
    if (!answer) {
      if (place) this.emit("refused", { frame: fields.frame, ...place, message: this.#project.refusal });
      return false;
    }
    this.newLabel = "";
    this.#project.masks.put(fields.frame, answer.mask);
    this.select(answer.object_id);
    this.#offer(answer.object_id, fields.frame, fields.prompt);
    return true;
  }

  /** A single click may mean a part or the whole: what else it may mean is offered. */
  async #offer(objectId, frame, prompt) {
    if (prompt.clicks.length !== 1 || prompt.box || prompt.mask) return;
    try {
      const { candidates } = await this.#project.ask("candidates", { frame, prompt });
      if (candidates.length > 1) this.emit("candidates", { frame, object_id: objectId, prompt, candidates });
    } catch {
      // the answer stands; there is nothing to choose from
    }
  }

  #after(work, fresh = false) {
    if (fresh) this.#beginning += 1;
    const done = this.#line.then(work).finally(() => {
      if (fresh) this.#beginning -= 1;
    });
    this.#line = done.catch(() => {});
    return done;
  }
}
