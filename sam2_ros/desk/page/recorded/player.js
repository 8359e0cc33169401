// Plays a recording: which frame is on the screen.

import { Emitter } from "../emitter.js";

export const SPEEDS = [0.25, 0.5, 1, 2, 4, 8];
/** Pictures that are fetched ahead while it plays, and beside the one on the screen while it stands. */
const AHEAD = 32;
const BESIDE = 6;

/** `frame`: there is another frame; `state`: it plays, stands, waits, or has another speed. */
export class Player extends Emitter {
  #pictures;
  #masks;
  #fps;
  #began = null; // {time, frame}, of playing at this speed without having had to wait

  frame = 0;
  playing = false;
  /** Whether the frame that is due is not here yet. */
  waiting = false;
  speed = 1;
  /** In which direction it last went. */
  direction = 1;

  /** @param {number[]} span first and last frame of the project. */
  constructor(pictures, masks, [first, last], fps) {
    super();
    this.#pictures = pictures;
    this.#masks = masks;
    [this.first, this.last] = [first, last];
    this.frame = first;
    this.#fps = fps > 0 ? fps : 30;
  }

  play() {
    if (this.playing) return;
    if (this.frame >= this.last) this.#show(this.first);
    this.playing = true;
    this.#began = null;
    this.emit("state");
    requestAnimationFrame((time) => this.#tick(time));
  }

  pause() {
    if (!this.playing) return;
    this.playing = this.waiting = false;
    this.emit("state");
    this.#fetchBeside();
  }

  toggle() {
    this.playing ? this.pause() : this.play();
  }

  /** Stand on a frame. */
  go(frame) {
    this.pause();
    this.#show(frame);
    this.#fetchBeside();
  }

  step(count) {
    this.go(this.frame + count);
  }

  faster(by) {
    const index = SPEEDS.indexOf(this.speed) + by;
    this.setSpeed(SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, index))]);
  }

  setSpeed(speed) {
    this.speed = speed;
    this.#began = null;
    this.emit("state");
  }

  #show(frame) {
    const next = Math.max(this.first, Math.min(this.last, Math.round(frame)));
    if (next === this.frame) return;
    this.direction = Math.sign(next - this.frame);
    this.frame = next;
    this.emit("frame");
  }

  #tick(time) {
    if (!this.playing) return;
    this.#began ??= { time, frame: this.frame };
    const due = Math.floor(this.#began.frame + ((time - this.#began.time) / 1000) * this.#fps * this.speed);
    const stride = Math.max(1, Math.round((this.#fps * this.speed) / 60)); // the screen shows no more than 60 a second
    let next = Math.min(due, this.last);
    while (next > this.frame && !this.#here(next)) next -= 1; // the newest one that is here
    if (next > this.frame) this.#show(next);
    const late = Math.min(due, this.last) - this.frame > Math.max(2, stride);
    if (late) this.#began = { time, frame: this.frame }; // the clock waits for the network
    if (late !== this.waiting) {
      this.waiting = late;
      this.emit("state");
    }
    this.#pictures.ahead(this.frame, stride, AHEAD);
    this.#masks.ahead(this.frame, 1, AHEAD * stride);
    if (this.frame >= this.last) return this.pause();
    requestAnimationFrame((later) => this.#tick(later));
  }

  #here(frame) {
    return this.#pictures.ready(frame) && this.#masks.ready(frame);
  }

  #fetchBeside() {
    this.#pictures.ahead(this.frame, this.direction < 0 ? -1 : 1, BESIDE);
    this.#masks.ahead(this.frame, this.direction < 0 ? -1 : 1, BESIDE);
  }
}
