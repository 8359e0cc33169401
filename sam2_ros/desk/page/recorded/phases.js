// The three phases of annotation, as modes (SAM 2 paper, section 5.1).

import { element } from "../element.js";
import { Emitter } from "../emitter.js";

const PHASES = {
  1: {
    name: "Frames",
    says: "Every annotated frame on its own: click or paint, Enter for the next. Exact, and slow.",
  },
  2: {
    name: "Masks",
    says: "A mask is propagated. Where it goes wrong, it is made anew, and propagated from there.",
  },
  3: {
    name: "Clicks",
    says: "Clicks correct what was propagated, with memory of the other frames. Then propagate again.",
  },
};

/** `change` (1, 2 or 3). */
export class Phases extends Emitter {
  #settings;

  constructor(host, settings) {
    super();
    this.#settings = settings;
    this.phase = settings.get("phase", 3);
    if (!PHASES[this.phase]) this.phase = 3;
    this.buttons = Object.entries(PHASES).map(([number, { name, says }]) =>
      element(
        "button",
        {
          type: "button",
          class: "segment",
          role: "radio",
          title: says,
          "aria-label": `Phase ${number}: ${name}`,
          dataset: { phase: number },
          onclick: () => this.choose(Number(number)),
          onkeydown: (event) => this.#onKey(event),
        },
        element("span", { class: "segment-number" }, number),
        element("span", {}, name),
      ),
    );
    this.says = element("p", { class: "quiet-text" });
    host.append(
      element(
        "section",
        { class: "phases", "aria-label": "Phase of annotation" },
        element("div", { class: "segments", role: "radiogroup", "aria-label": "Phase" }, ...this.buttons),
        this.says,
      ),
    );
    this.#show();
  }

  choose(phase) {
    if (phase === this.phase) return;
    this.phase = phase;
    this.#settings.set("phase", phase);
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
