// Pause, step, and the scrubber through time.

import { button } from "./button.js";
import { element, setAttribute, setText } from "./element.js";
import { Emitter } from "./emitter.js";
import { setIcon } from "./icons.js";

/** Emits "play", "pause", "seek" (position), "step" (-1 or 1), "live". */
export class Transport extends Emitter {
  #toggle;
  #scrubber;
  #time = element("span", { class: "time" });
  #live = null;
  #steps;
  #playing = true;
  #scrubbing = false;
  #host;

  /** @param {{live?: boolean, keys?: {back: string, forward: string}}} options live: with a way back to the present */
  constructor(host, { live = false } = {}) {
    super();
    this.#toggle = button({
      icon: "pause",
      name: "Pause",
      class: "play",
      run: () => this.emit(this.#playing ? "pause" : "play"),
    });
    this.#steps = [
      button({ icon: "back", name: "One frame back", key: ",", run: () => this.emit("step", -1) }),
      button({ icon: "forward", name: "One frame on", key: ".", run: () => this.emit("step", 1) }),
    ];
    this.#scrubber = element("input", {
      type: "range",
      class: "scrubber",
      min: "0",
      max: "0",
      step: "1",
      "aria-label": "Time",
    });
    this.#scrubber.addEventListener("input", () => this.emit("seek", Number(this.#scrubber.value)));
    this.#scrubber.addEventListener("pointerdown", () => (this.#scrubbing = true));
    for (const end of ["pointerup", "pointercancel", "change"]) {
      this.#scrubber.addEventListener(end, () => (this.#scrubbing = false));
    }
    if (live)
      this.#live = button({ icon: "live", name: "Live", text: true, class: "live", run: () => this.emit("live") });
    this.#host = element(
      "div",
      { class: "transport", role: "group", "aria-label": "Time" },
      this.#steps[0],
      this.#toggle,
      this.#steps[1],
      this.#scrubber,
      this.#time,
      ...(this.#live ? [this.#live] : []),
    );
    host.append(this.#host);
  }

  /** Further controls at its right end. */
  add(...made) {
    this.#host.append(...made);
  }

  /**
   * @param {Object} state
   * @param {boolean} state.playing
   * @param {number} state.position frame, 0 .. length - 1
   * @param {number} state.length number of frames that can be reached
   * @param {string} state.text beside the scrubber, such as a time
   * @param {boolean} [state.live] whether the present is on the screen
   * @param {boolean} [state.enabled]
   */
  show({ playing, position, length, text, live = false, enabled = true }) {
    this.#playing = playing;
    setIcon(this.#toggle, playing ? "pause" : "play");
    const name = playing ? "Pause" : this.#live ? "Go on live" : "Play";
    setAttribute(this.#toggle, "aria-label", name);
    setAttribute(this.#toggle, "title", `${name} (Space)`);
    setAttribute(this.#scrubber, "max", Math.max(length - 1, 0));
    if (!this.#scrubbing) this.#scrubber.value = String(position);
    setAttribute(this.#scrubber, "aria-valuetext", text);
    this.#scrubber.style.setProperty("--part", String(length > 1 ? position / (length - 1) : 1));
    setText(this.#time, text);
    if (this.#live) {
      setAttribute(this.#live, "aria-pressed", String(live));
    }
    for (const made of [this.#toggle, this.#scrubber, ...this.#steps]) made.disabled = !enabled;
  }
}
