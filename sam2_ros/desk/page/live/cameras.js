// The cameras of the robot: tabs in the bar, and whether one or all of them are shown.

import { button, press } from "../button.js";
import { element, setAttribute, setText } from "../element.js";
import { Emitter } from "../emitter.js";

/** Emits "choose" (name), "layout" ("single" or "grid"). */
export class Cameras extends Emitter {
  #tabs = element("div", { class: "tabs", role: "group", "aria-label": "Cameras" });
  #made = new Map();
  #grid;

  constructor(host) {
    super();
    this.#grid = button({
      icon: "grid",
      name: "All cameras",
      key: "G",
      pressed: false,
      run: () => this.emit("layout", this.#grid.getAttribute("aria-pressed") === "true" ? "single" : "grid"),
    });
    host.append(this.#tabs, this.#grid);
  }

  /** @param {Array<Object>} cameras as in the event of that type */
  show(cameras, current, layout) {
    const names = new Set(cameras.map(({ name }) => name));
    for (const [name, made] of this.#made) {
      if (!names.has(name)) {
        made.remove();
        this.#made.delete(name);
      }
    }
    for (const { name, title, online, problem, rate } of cameras) {
      if (!this.#made.has(name)) {
        const made = element(
          "button",
          { type: "button", class: "tab", dataset: { camera: name }, onclick: () => this.emit("choose", name) },
          element("span", { class: "dot", "aria-hidden": "true" }),
          element("span", {}),
        );
        this.#made.set(name, made);
        this.#tabs.append(made);
      }
      const made = this.#made.get(name);
      setText(made.lastChild, title || name);
      setAttribute(made, "aria-current", name === current && layout === "single" ? "true" : null);
      setAttribute(
        made,
        "title",
        problem || (online ? `${name}, ${Number(rate ?? 0).toFixed(1)} images a second` : `${name} is silent`),
      );
      made.classList.toggle("is-offline", !online);
      made.classList.toggle("has-problem", Boolean(problem));
    }
    this.#grid.hidden = cameras.length < 2;
    press(this.#grid, layout === "grid");
  }
}
