// Which object of each camera is chosen, which are hidden, and which one is shown alone; remembered by the browser.

import { Emitter } from "../emitter.js";

/** Emits "changed". */
export class Selection extends Emitter {
  #settings;
  #cameras; // name to {chosen, hidden: [IDs], solo}
  camera = null;
  /** How often somebody has chosen. */
  turn = 0;

  constructor(settings) {
    super();
    this.#settings = settings;
    this.#cameras = settings.get("selection", {});
  }

  get chosen() {
    return this.#of.chosen ?? null;
  }

  get solo() {
    return this.#of.solo ?? null;
  }

  isHidden(objectId) {
    return this.solo === null ? (this.#of.hidden ?? []).includes(objectId) : this.solo !== objectId;
  }

  /** Whether it is hidden for itself, whatever is shown alone. */
  isPutAway(objectId) {
    return (this.#of.hidden ?? []).includes(objectId);
  }

  choose(objectId) {
    this.turn += 1;
    if (objectId !== this.chosen) this.#change({ chosen: objectId });
  }

  /** Chooses what an answer is about, unless somebody has chosen an object since that turn. */
  follow(objectId, turn) {
    if (turn === this.turn && objectId !== this.chosen) this.#change({ chosen: objectId });
  }

  toggleHidden(objectId) {
    const hidden = this.#of.hidden ?? [];
    const next = hidden.includes(objectId) ? hidden.filter((id) => id !== objectId) : [...hidden, objectId];
    this.#change({ hidden: next });
  }

  toggleSolo(objectId) {
    this.#change({ solo: this.solo === objectId ? null : objectId });
  }

  /** Forgets what is not tracked any more. */
  keepOnly(ids) {
    const { chosen = null, hidden = [], solo = null } = this.#of;
    const next = {
      chosen: ids.has(chosen) ? chosen : null,
      hidden: hidden.filter((id) => ids.has(id)),
      solo: ids.has(solo) ? solo : null,
    };
    if (next.chosen !== chosen || next.solo !== solo || next.hidden.length !== hidden.length) this.#change(next);
  }

  get #of() {
    return this.#cameras[this.camera] ?? {};
  }

  #change(change) {
    this.#cameras[this.camera] = { ...this.#of, ...change };
    this.#settings.set("selection", this.#cameras);
    this.emit("changed");
  }
}
