// Beside the pointer: what a click would do.

import { css } from "../colours.js";
import { element, setText } from "../element.js";

export class Hint {
  #stage;
  #element = element("div", { class: "hint anchored", hidden: true, "aria-hidden": "true" });

  constructor(stage) {
    this.#stage = stage;
    stage.element.append(this.#element);
  }

  /** @param said {act, says, object_id, positive}, or null: nothing. */
  show(place, said) {
    this.#element.hidden = !place || place.touch || !said;
    if (this.#element.hidden) return;
    setText(this.#element, said.says);
    this.#element.dataset.act = said.positive ? said.act : "no";
    this.#element.style.setProperty("--object", said.object_id ? css(said.object_id) : "#fff");
    const screen = this.#stage.toScreen(place.at?.x ?? place.x, place.at?.y ?? place.y);
    const frame = this.#stage.element.getBoundingClientRect();
    const left = Math.min(screen.x - frame.left + 16, frame.width - this.#element.offsetWidth - 8);
    const top = Math.min(screen.y - frame.top + 18, frame.height - this.#element.offsetHeight - 8);
    this.#element.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
  }
}
