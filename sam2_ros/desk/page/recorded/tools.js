// The tools beside the picture: what a click means, brush and eraser, zoom; and the brush's own bar while it paints.

import { button, press } from "../button.js";
import { element, setAttribute, setText } from "../element.js";
import { Emitter } from "../emitter.js";

const TOOLS = {
  yes: { icon: "yes", name: "Click on what belongs to it", key: "P" },
  no: { icon: "no", name: "Click on what does not belong to it", key: "N" },
  box: { icon: "box", name: "Draw a box around it", key: "B" },
  brush: { icon: "brush", name: "Paint the mask", key: "D" },
  outline: { icon: "outline", name: "Draw an outline, which is filled", key: "G" },
  eraser: { icon: "eraser", name: "Erase from the mask", key: "E" },
};

/** Emits "tool" (its name), "absent", "zoom" (factor), "fit", "save", "discard". */
export class Tools extends Emitter {
  #brush;
  #buttons;

  constructor(rail, tray, brush) {
    super();
    this.#brush = brush;
    this.#buttons = Object.fromEntries(
      Object.entries(TOOLS).map(([tool, options]) => [
        tool,
        button({ ...options, pressed: false, dataset: { tool }, run: () => this.emit("tool", tool) }),
      ]),
    );
    this.absent = button({
      icon: "away",
      name: "It is not visible on this frame",
      key: "V",
      run: () => this.emit("absent"),
    });
    const zoom = (icon, name, key, factor) => button({ icon, name, key, run: () => this.emit("zoom", factor) });
    rail.append(
      element("div", { class: "tools", role: "group", "aria-label": "Tools" }, ...Object.values(this.#buttons)),
      element("div", { class: "tools", role: "group", "aria-label": "Do" }, this.absent),
      element(
        "div",
        { class: "tools tools-zoom", role: "group", "aria-label": "Zoom" },
        zoom("add", "Zoom in", "+", 1.4),
        zoom("minus", "Zoom out", "-", 1 / 1.4),
        button({ icon: "fit", name: "Whole picture", key: "0", run: () => this.emit("fit") }),
      ),
    );
    this.size = element("input", {
      type: "range",
      min: 1,
      max: 100,
      "aria-label": "Size of the brush",
      title: "Size ([ and ])",
      oninput: () => brush.setRadius(Number(this.size.value)),
    });
    this.sizeSays = element("output", { class: "quiet-text" });
    this.undo = button({ icon: "undo", name: "Take the last stroke back", key: "Z", run: () => brush.undo() });
    this.redo = button({ icon: "redo", name: "The stroke again", key: "Shift+Z", run: () => brush.redo() });
    this.discard = button({
      name: "Discard",
      key: "Escape",
      text: true,
      class: "quiet",
      run: () => this.emit("discard"),
    });
    this.save = button({
      icon: "check",
      name: "Save",
      key: "Enter",
      text: true,
      class: "primary",
      run: () => this.emit("save"),
    });
    this.bar = element(
      "div",
      { class: "brush-bar", role: "group", "aria-label": "Brush" },
      this.size,
      this.sizeSays,
      this.undo,
      this.redo,
      this.discard,
      this.save,
    );
    tray.append(this.bar);
    brush.on("change", () => this.#showBrush());
    this.show("yes");
  }

  show(tool) {
    for (const [name, made] of Object.entries(this.#buttons)) press(made, name === tool);
    this.#showBrush();
  }

  #showBrush() {
    const { tool, radius, changed, canRedo } = this.#brush;
    this.bar.hidden = tool === null && !changed;
    this.size.hidden = this.sizeSays.hidden = tool === "outline";
    this.size.value = String(radius);
    setText(this.sizeSays, `${2 * radius} px`);
    this.undo.disabled = !changed;
    this.redo.disabled = !canRedo;
    this.save.disabled = !changed;
    this.discard.disabled = !changed;
    setAttribute(this.bar, "data-changed", changed ? "" : null);
  }
}
