// The three phases of annotation, as modes (SAM 2 paper, section 5.1).

import { element } from "../element.js";
import { Emitter } from "../emitter.js";

export const PHASES = {
  1: {
    name: "Frame by frame",
    says: "Every annotated frame on its own: click or draw, then → to the next. Exact and slow.",
  },
  2: {
    name: "Masks, followed",
    says: "Make a mask, propagate it. Where it goes wrong, make that mask anew and propagate again.",
  },
  3: {
    name: "Clicks, with memory",
    says: "A click corrects the mask that is there, knowing the other frames. Propagate carries it both ways.",
  },
};
const KEPT_AS = "sam2_ros.phase";

/** `change` (1, 2 or 3). */
export class Phases extends Emitter {
  constructor(place) {
    super();
    this.phase = Number(localStorage.getItem(KEPT_AS)) || 3;
    if (!PHASES[this.phase]) this.phase = 3;
    this.buttons = Object.entries(PHASES).map(([phase, { name, says }]) =>
      element("button", {
        type: "button",
        class: "phase",
        role: "radio",
        title: says,
        dataset: { phase },
        onclick: () => this.choose(Number(phase)),
        onkeydown: (event) => this.#onKey(event),
      }, element("b", {}, phase), element("span", {}, name)),
    );
    this.says = element("p", { class: "phase-says" });
    place.append(
      element("section", { class: "phases", "aria-label": "Phase of annotation" },
        element("div", { class: "segmented", role: "radiogroup", "aria-label": "Phase" }, ...this.buttons),
        this.says,
      ),
    );
    this.#show();
  }

  choose(phase) {
    if (phase === this.phase) return;
    this.phase = phase;
    localStorage.setItem(KEPT_AS, String(phase));
    this.#show();
    this.emit("change", phase);
  }

  #show() {
    for (const button of this.buttons) {
      const chosen = Number(button.dataset.phase) === this.phase;
      button.setAttribute("aria-checked", String(chosen));
      button.tabIndex = chosen ? 0 : -1;
    }
    this.says.textContent = PHASES[this.phase].says;
  }

  #onKey(event) {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    this.choose(((this.phase - 1 + by + 3) % 3) + 1);
    this.buttons[this.phase - 1].focus();
  }
}
