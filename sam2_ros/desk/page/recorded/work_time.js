// How long somebody has worked since their last action.

/** Pauses longer than this are no work, milliseconds. */
const IDLE = 60_000;

export class WorkTime {
  #last = performance.now();
  #worked = 0;

  /** Counts from the keys, pointers and wheels of a document. */
  constructor(target = document) {
    for (const kind of ["pointerdown", "pointermove", "keydown", "wheel"]) {
      target.addEventListener(kind, () => this.touch(), { capture: true, passive: true });
    }
  }

  /** Somebody is at work now. Also called while a recording plays: that is watched. */
  touch() {
    const now = performance.now();
    if (now - this.#last <= IDLE) this.#worked += now - this.#last;
    this.#last = now;
  }

  /** Seconds since the last call; counting begins anew. */
  take() {
    this.touch();
    const seconds = this.#worked / 1000;
    this.#worked = 0;
    return Math.round(seconds * 1000) / 1000;
  }

  /** Time that was taken for something that did not happen. */
  give(seconds) {
    this.#worked += 1000 * seconds;
  }
}
