// Who you are: every action is stored with a name, and nobody verifies their own work.

import { button } from "../button.js";
import { element, setText } from "../element.js";
import { LONGEST_LABEL } from "../labels.js";
import { sentence } from "./project.js";

export class Annotator {
  #project;
  #settings;
  #login = "";
  #asked = null; // resolves when the dialog is closed

  name = "";

  constructor(project, settings, place) {
    this.#project = project;
    this.#settings = settings;
    this.button = element("button", {
      type: "button",
      class: "button quiet annotator",
      "aria-haspopup": "dialog",
      onclick: () => this.ask(),
    });
    place.append(this.button);
    this.#show();
  }

  /** Tell the server who works here, as this browser remembers it; asks the person if it doesn't. */
  async greet(login = "") {
    this.#login = login;
    const name = this.name || this.#settings.get("annotator", "");
    if (!name) return this.ask();
    if (!(await this.#tell(name))) await this.ask();
  }

  /** Ask the person; done when they have answered, or don't want to. */
  ask() {
    if (this.#asked) return this.#asked;
    const problem = element("p", { class: "field-problem", role: "alert" });
    const names = element("datalist", { id: "annotators" });
    names.append(...this.#project.annotators.map((name) => element("option", { value: name })));
    const field = element("input", {
      type: "text",
      id: "annotator-name",
      list: "annotators",
      autocomplete: "nickname",
      maxlength: LONGEST_LABEL,
      required: true,
      "aria-describedby": "annotator-why",
    });
    field.value = this.name || this.#settings.get("annotator", "") || this.#login;
    const close = () => {
      field.blur(); // the next key is for the page, at once
      dialog.close();
    };
    const form = element(
      "form",
      { method: "dialog" },
      element("h2", { id: "annotator-title" }, "Who are you?"),
      element(
        "p",
        { id: "annotator-why" },
        "Everything that you do is stored under this name. What you annotate, somebody else verifies.",
      ),
      element("label", { for: "annotator-name" }, "Your name"),
      field,
      names,
      problem,
      element(
        "div",
        { class: "dialog-buttons" },
        button({ name: "Only look", text: true, class: "quiet", run: () => close() }),
        element("button", { type: "submit", class: "button primary" }, "Start"),
      ),
    );
    const dialog = element("dialog", { class: "annotator-dialog", "aria-labelledby": "annotator-title" }, form);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const name = field.value.trim();
      if (name && (await this.#tell(name, problem))) close();
    });
    document.body.append(dialog);
    dialog.showModal();
    field.select();
    this.#asked = new Promise((resolve) => {
      dialog.addEventListener("close", () => {
        dialog.remove();
        this.#asked = null;
        resolve();
      });
    });
    return this.#asked;
  }

  async #tell(name, problem = null) {
    try {
      await this.#project.ask("annotator", { name });
    } catch (error) {
      if (problem) setText(problem, sentence(error.message));
      return false;
    }
    this.name = name;
    this.#settings.set("annotator", name);
    this.#show();
    return true;
  }

  #show() {
    setText(this.button, this.name || "Who are you?");
    this.button.title = this.name ? `You are ${this.name}; change` : "Needed before you change anything";
  }
}
