// Which model answers, and whether it is there yet.

import { element, setText } from "../element.js";

const SAYS = { loading: "The model is being loaded", failed: "The model cannot be loaded", ready: "Model:" };

export class ModelState {
  constructor(connection) {
    this.element = element("span", { class: "model-state", role: "status" });
    connection.on("model", (event) => this.show(event));
  }

  /** @param model {name, state: "loading"|"ready"|"failed", message}; null: the server doesn't say. */
  show(model) {
    this.element.hidden = !model;
    if (!model) return;
    this.element.dataset.state = model.state;
    setText(this.element, model.state === "ready" ? `${SAYS.ready} ${model.name}` : (SAYS[model.state] ?? model.state));
    this.element.title = model.message || model.name;
  }
}
