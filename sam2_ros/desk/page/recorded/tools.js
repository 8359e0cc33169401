// The tools beside the picture: point, box, brush, eraser; and the brush's own bar while it paints.

import { button, press } from "../button.js";
import { element, setText } from "../element.js";

const TOOLS = [
  { tool: "point", icon: "point", name: "Point: click yes, right click no, drag a box", key: "V" },
  { tool: "box", icon: "box", name: "Box", key: "B" },
  { tool: "brush", icon: "brush", name: "Brush", key: "D" },
  { tool: "eraser", icon: "eraser", name: "Eraser", key: "E" },
];

export class Tools {
  #brush;

  /**
   * @param act {choose(tool), absent(), save(), discard()}.
   */
  constructor(brush, act) {
    this.#brush = brush;
    this.tool = "point";
    this.buttons = TOOLS.map((entry) =>
      button({ ...entry, class: "tool", pressed: entry.tool === "point", run: () => act.choose(entry.tool) }),
    );
    this.buttons.forEach((made, index) => (made.dataset.tool = TOOLS[index].tool));
    this.polarity = button({ icon: "yes", name: "A tap means yes; tap here for no", class: "tool touch-only", run: () => act.polarity() });
    this.absent = button({ icon: "away", name: "Not visible on this frame", key: "A", class: "tool", run: act.absent });
    this.rail = element(
      "div",
      { class: "tools", role: "toolbar", "aria-label": "Tools", "aria-orientation": "vertical" },
      ...this.buttons,
      this.polarity,
      element("hr", {}),
      this.absent,
    );
    this.size = element("input", {
      type: "range",
      min: 1,
      max: 100,
      step: 1,
      "aria-label": "Size of the brush",
      title: "Size ([ and ])",
      oninput: () => brush.setRadius(Number(this.size.value)),
    });
    this.sizeSays = element("output", {});
    this.undo = button({ icon: "undo", name: "Take the last stroke back", key: "Z", run: () => brush.undo() });
    this.redo = button({ icon: "redo", name: "Stroke again", key: "Shift+Z", run: () => brush.redo() });
    this.save = button({ icon: "check", name: "Save", key: "Enter", text: true, class: "primary", run: act.save });
    this.discard = button({ icon: "close", name: "Discard", key: "Escape", text: true, class: "quiet", run: act.discard });
    this.bar = element(
      "div",
      { class: "brush-bar", role: "toolbar", "aria-label": "Brush" },
      this.size,
      this.sizeSays,
      this.undo,
      this.redo,
      this.discard,
      this.save,
    );
    brush.on("change", () => this.show(this.tool));
    this.show("point");
  }

  show(tool) {
    this.tool = tool;
    for (const made of this.buttons) press(made, made.dataset.tool === tool);
    this.bar.hidden = tool !== "brush" && tool !== "eraser";
    this.size.value = String(this.#brush.radius);
    setText(this.sizeSays, `${2 * this.#brush.radius} px`);
    const { changed } = this.#brush;
    for (const made of [this.undo, this.redo, this.save, this.discard]) made.hidden = !changed;
  }
}
