// The live picture, small in a corner, while another one stands on the stage: the robot goes on.

import { element } from "../element.js";
import { Emitter } from "../emitter.js";
import { Stage } from "../stage.js";

/** Emits "live" when it is clicked. */
export class Glance extends Emitter {
  #made;
  #stage;

  constructor(host, looks) {
    super();
    const place = element("span", { class: "glance-picture" });
    this.#made = element(
      "button",
      { type: "button", class: "glance", hidden: true, title: "Go on live (Space)", onclick: () => this.emit("live") },
      place,
      element("span", { class: "glance-title" }, element("span", { class: "dot", "aria-hidden": "true" }), "Live"),
    );
    host.append(this.#made);
    this.#stage = new Stage(place, { still: true });
    looks.apply(this.#stage);
    this.#stage.look = { ...this.#stage.look, labels: false };
    looks.leave(this.#stage);
  }

  /** Shows a frame for the stage; null: nothing, it is hidden. */
  show(frame) {
    this.#made.hidden = frame === null;
    if (frame) this.#made.style.setProperty("--shape", `${frame.width} / ${frame.height}`);
    this.#stage.show(frame);
  }
}
