// The tools beside the picture: what a click means, undo, zoom.

import { button, press } from "../button.js";
import { element } from "../element.js";
import { Emitter } from "../emitter.js";

/** Emits "tool" ("yes", "no" or "box"), "undo", "zoom" (factor), "fit", "everything". */
export class Tools extends Emitter {
  #buttons;

  constructor(host) {
    super();
    const tool = (name, icon, says, key) =>
      button({ icon, name: says, key, pressed: false, dataset: { tool: name }, run: () => this.emit("tool", name) });
    const act = (name, icon, says, key, ...details) =>
      button({ icon, name: says, key, run: () => this.emit(name, ...details) });
    this.#buttons = {
      yes: tool("yes", "yes", "Click on what belongs to it", "P"),
      no: tool("no", "no", "Click on what does not belong to it", "N"),
      box: tool("box", "box", "Draw a box around a thing", "B"),
    };
    host.append(
      element(
        "div",
        { class: "tools", role: "group", "aria-label": "What a click means" },
        ...Object.values(this.#buttons),
      ),
      element(
        "div",
        { class: "tools", role: "group", "aria-label": "Do" },
        act("undo", "undo", "Undo the last prompt", "Z"),
        act("everything", "everything", "Find everything in this picture", "E"),
      ),
      element(
        "div",
        { class: "tools tools-zoom", role: "group", "aria-label": "Zoom" },
        act("zoom", "add", "Zoom in", "+", 1.4),
        act("zoom", "minus", "Zoom out", "-", 1 / 1.4),
        act("fit", "fit", "Whole picture", "0"),
      ),
    );
    this.show("yes");
  }

  show(tool) {
    for (const [name, made] of Object.entries(this.#buttons)) press(made, name === tool);
  }
}
