// Prompts on their way and those that were given: pending, refused, undone.

import { Emitter } from "../emitter.js";

/**
 * Emits "changed" (pending ones), "accepted" ({entry, answer}), "refused" ({entry, message}).
 *
 * An entry is {camera, stamp, prompt: {object_id, label, clicks, box, mask, replace}, turn: the selection's by then}.
 */
export class Prompts extends Emitter {
  #connection;
  #pending = new Map(); // entries without an answer yet, to the promise of what becomes of them
  #given = []; // entries, oldest first

  constructor(connection) {
    super();
    this.#connection = connection;
  }

  /** Entries without an answer yet. */
  get pending() {
    return [...this.#pending.keys()];
  }

  /** Sends a prompt made on the picture of this stamp. Returns the answer; null if it was refused. */
  send(camera, stamp, fields, turn) {
    const prompt = { object_id: 0, label: "", clicks: [], box: null, mask: null, replace: false, ...fields };
    const entry = { camera, stamp, prompt, turn };
    const outcome = this.#ask(entry);
    this.#pending.set(entry, outcome);
    this.emit("changed");
    return outcome;
  }

  async #ask(entry) {
    const { camera, stamp, prompt } = entry;
    try {
      const answer = await this.#connection.request("prompt", { camera, stamp, prompt });
      this.#pending.delete(entry);
      this.#given.push({ ...entry, prompt: { ...prompt, object_id: answer.object_id } });
      this.emit("accepted", { entry, answer });
      return answer;
    } catch (error) {
      this.#pending.delete(entry);
      this.emit("refused", { entry, message: error.message });
      return null;
    } finally {
      this.emit("changed");
    }
  }

  /** When all that is on its way has been answered. */
  async settled() {
    await Promise.all(this.#pending.values());
  }

  /** Clicks that were given for an object on the picture of this stamp. */
  clicksOn(camera, stamp, objectId) {
    const clicks = [];
    for (const entry of this.#given) {
      if (entry.camera !== camera || entry.prompt.object_id !== objectId) continue;
      if (entry.prompt.replace) clicks.length = 0;
      if (entry.stamp === stamp) clicks.push(...entry.prompt.clicks);
    }
    return clicks;
  }

  /** Forgets what was given for an object that is removed; for all objects of the camera without one. */
  forget(camera, objectId) {
    this.#given = this.#given.filter(
      (entry) => entry.camera !== camera || (objectId !== undefined && entry.prompt.object_id !== objectId),
    );
  }

  /**
   * Takes the last prompt on this camera back: its object begins anew from the ones before, or is removed if there are
   * none. Returns what was done, as a sentence; throws `Refused`.
   */
  async undo(camera) {
    await this.settled(); // the last one may be on its way
    const index = this.#given.findLastIndex((entry) => entry.camera === camera);
    if (index < 0) return "There is nothing of yours to undo here.";
    const objectId = this.#given[index].prompt.object_id;
    const before = this.#since(camera, objectId).slice(0, -1);
    if (before.length === 0) {
      await this.#connection.request("remove", { camera, object_id: objectId });
      this.#given.splice(index, 1);
      return `Object ${objectId} is removed again.`;
    }
    for (const [place, { stamp, prompt }] of before.entries()) {
      const replace = place === 0 || prompt.replace;
      await this.#connection.request("prompt", { camera, stamp, prompt: { ...prompt, replace } });
    }
    this.#given.splice(index, 1);
    return `The last prompt for object ${objectId} is undone.`;
  }

  /** An object's prompts in order. */
  #since(camera, objectId) {
    return this.#given.filter((entry) => entry.camera === camera && entry.prompt.object_id === objectId);
  }
}
