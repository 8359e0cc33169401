// What the page knows of the annotation project, and the changes that are made from here.

import { Emitter } from "../emitter.js";
import { Masks } from "./masks.js";

/**
 * `objects`: they, or what can be undone, have changed; `runs`; `refused` (message, whether it is said elsewhere); `busy`
 * (whether a change waits for its answer).
 */
export class Project extends Emitter {
  #connection;
  #time;
  #busy = 0;
  #fetchingRuns = null;
  #runsWanted = new Set(); // IDs; null in it: of all objects

  /** By ID: {object_id, label, attributes, state, reason, masks, annotated, present, iou, action_id}. */
  objects = new Map();
  /** By ID: [[first, last, origin, present, iou]], frames alike. */
  runs = new Map();
  /** The last action of anybody that this page has been told of. */
  lastAction = 0;
  canUndo = false;
  canRedo = false;
  annotators = [];
  /** Why the last change was refused. */
  refusal = "";

  constructor(connection, hello, workTime) {
    super();
    this.#connection = connection;
    this.#time = workTime;
    /** First and last frame of the project. */
    this.span = hello.span ?? [0, hello.frames - 1];
    this.frames = this.span[1] - this.span[0] + 1;
    this.masks = new Masks(async (first, last) => {
      const asOf = this.lastAction; // what is asked for now is not older
      const { masks } = await connection.request("masks", { first, last });
      return { masks, asOf };
    }, hello.frames);
    connection.on("project", (event) => this.#update(event));
    connection.on("changed", (event) => {
      this.masks.forget(event.frames);
      this.#fetchRuns(event.object_id);
    });
  }

  get busy() {
    return this.#busy > 0;
  }

  /** After a connection: everything may be different. */
  refresh() {
    this.masks.forget(null);
    return this.#fetchRuns(null);
  }

  label(objectId) {
    return this.objects.get(objectId)?.label || `Object ${objectId}`;
  }

  /** The last action that is certainly in the masks of a frame as they are shown. */
  seen(frame) {
    return Math.min(this.lastAction, this.masks.asOf(frame));
  }

  ask(type, fields = {}) {
    return this.#connection.request(type, fields);
  }

  /**
   * Make a change; how long it took is told with it. Null: it was refused; why has been said.
   *
   * @param {number|null} frame whose mask is changed: somebody else may have changed it after it was shown here.
   * @param {boolean} beside whether a refusal is said beside the place that was pointed at.
   */
  async change(type, fields, frame = null, beside = false) {
    const seen = frame === null ? this.lastAction : this.seen(frame);
    const seconds = this.#time.take();
    this.#tellBusy(1);
    try {
      return await this.#connection.request(type, { seen, seconds, ...fields });
    } catch (error) {
      this.#time.give(seconds); // it is part of the next attempt
      if (frame !== null) this.masks.forget([frame, frame]); // the newest is shown
      this.refusal = sentence(error.message);
      this.emit("refused", this.refusal, beside);
      return null;
    } finally {
      this.#tellBusy(-1);
    }
  }

  #update(event) {
    this.lastAction = event.last_action;
    this.objects = new Map(event.objects.map((one) => [one.object_id, one]));
    this.canUndo = event.can_undo;
    this.canRedo = event.can_redo;
    this.annotators = event.annotators ?? this.annotators;
    for (const objectId of this.runs.keys()) if (!this.objects.has(objectId)) this.runs.delete(objectId);
    this.emit("objects");
  }

  /** One at a time; what has changed meanwhile is fetched after it. */
  async #fetchRuns(objectId) {
    this.#runsWanted.add(objectId);
    if (this.#fetchingRuns) return this.#fetchingRuns;
    this.#fetchingRuns = (async () => {
      while (this.#runsWanted.size) {
        const wanted = this.#runsWanted.has(null) ? null : [...this.#runsWanted];
        this.#runsWanted.clear();
        const { objects } = await this.#connection.request("timeline", { object_ids: wanted });
        if (wanted === null) this.runs.clear();
        for (const gone of wanted ?? []) this.runs.delete(gone);
        for (const [known, runs] of Object.entries(objects)) this.runs.set(Number(known), runs);
        this.emit("runs");
      }
    })();
    try {
      await this.#fetchingRuns;
    } catch {
      // the connection is gone; it is asked for again when it is back
    } finally {
      this.#fetchingRuns = null;
    }
  }

  #tellBusy(by) {
    this.#busy += by;
    this.emit("busy", this.busy);
  }
}

/** A message of the server as a sentence. */
export function sentence(message) {
  const text = message ? message[0].toUpperCase() + message.slice(1) : "It did not work.";
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
