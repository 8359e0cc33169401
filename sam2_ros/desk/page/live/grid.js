// All cameras side by side; a click on one goes to it.

import { element, setText } from "../element.js";
import { Emitter } from "../emitter.js";
import { Stage } from "../stage.js";

/** Emits "choose" (name). */
export class Grid extends Emitter {
  #host;
  #looks;
  #tiles = new Map();

  constructor(host, looks) {
    super();
    this.#looks = looks;
    this.#host = element("div", { class: "grid", hidden: true });
    host.append(this.#host);
  }

  set open(open) {
    this.#host.hidden = !open;
    if (!open) this.#clear();
  }

  /** Has a tile for each of these cameras. */
  show(cameras) {
    for (const { name, title, online, problem, objects } of cameras) {
      if (!this.#tiles.has(name)) this.#tiles.set(name, this.#make(name));
      const tile = this.#tiles.get(name);
      setText(tile.title, title || name);
      const count = `${objects ?? 0} ${objects === 1 ? "object" : "objects"}`;
      setText(tile.state, problem || (online ? count : "silent"));
      tile.made.classList.toggle("is-offline", !online);
    }
    for (const [name, { made, stage }] of this.#tiles) {
      if (cameras.some((camera) => camera.name === name)) continue;
      this.#looks.leave(stage);
      made.remove();
      this.#tiles.delete(name);
    }
    this.#host.style.setProperty("--columns", String(Math.ceil(Math.sqrt(cameras.length))));
  }

  /** Shows a frame of a camera; false: it has no tile. */
  draw(name, frame) {
    this.#tiles.get(name)?.stage.show(frame);
    return this.#tiles.has(name);
  }

  #make(name) {
    const title = element("b", {});
    const state = element("span", {});
    const place = element("div", { class: "tile-picture" });
    const made = element(
      "button",
      { type: "button", class: "tile", dataset: { camera: name }, onclick: () => this.emit("choose", name) },
      place,
      element("span", { class: "tile-title" }, title, state),
    );
    this.#host.append(made);
    const stage = new Stage(place, { still: true });
    this.#looks.apply(stage);
    for (const outcome of ["drawn", "skipped"]) stage.on(outcome, (frame) => frame?.done?.());
    return { made, title, state, stage };
  }

  #clear() {
    for (const { made, stage } of this.#tiles.values()) {
      this.#looks.leave(stage);
      made.remove();
    }
    this.#tiles.clear();
  }
}
