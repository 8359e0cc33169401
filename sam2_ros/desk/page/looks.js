// How masks are drawn: opacity, outline only, labels; and light or dark.

import { button } from "./button.js";
import { element } from "./element.js";
import { Theme } from "./theme.js";

/** A button that opens the settings of one or several stages. */
export class Looks {
  #settings;
  #stages = new Set();
  #look;
  #outline;
  #labels;
  #opacity;

  constructor(host, settings, shortcuts) {
    this.#settings = settings;
    this.#look = { opacity: 0.3, outline: false, labels: true, ...settings.get("look", {}) };
    this.#opacity = element("input", { type: "range", min: "0", max: "100", step: "5", id: "opacity" });
    this.#opacity.addEventListener("input", () => this.#set({ opacity: this.#opacity.value / 100 }));
    this.#outline = this.#checkbox("Outline only", "O", (outline) => this.#set({ outline }));
    this.#labels = this.#checkbox("Labels on the picture", "T", (labels) => this.#set({ labels }));
    const theme = element(
      "select",
      { id: "theme" },
      ...[
        ["", "System"],
        ["light", "Light"],
        ["dark", "Dark"],
      ].map(([value, text]) => element("option", { value }, text)),
    );
    const chosen = new Theme(settings);
    theme.value = chosen.chosen;
    theme.addEventListener("change", () => (chosen.chosen = theme.value));
    const sheet = element(
      "div",
      { class: "popover looks", popover: "auto", id: "looks" },
      element("h2", {}, "How it looks"),
      element("label", { class: "field" }, element("span", {}, "Opacity"), this.#opacity),
      this.#outline.parentElement,
      this.#labels.parentElement,
      element("label", { class: "field" }, element("span", {}, "Colours"), theme),
    );
    const opener = button({ icon: "tune", name: "How it looks", run: () => {} });
    opener.setAttribute("popovertarget", "looks");
    host.append(opener, sheet);
    shortcuts.register([
      {
        keys: ["o"],
        says: "outline only, or filled",
        group: "Picture",
        run: () => this.#set({ outline: !this.#look.outline }),
      },
      {
        keys: ["t"],
        says: "labels on the picture",
        group: "Picture",
        run: () => this.#set({ labels: !this.#look.labels }),
      },
    ]);
    this.#show();
  }

  /** Lets these settings hold for a stage. */
  apply(stage) {
    this.#stages.add(stage);
    Object.assign(stage.look, this.#look);
  }

  /** Forgets a stage. */
  leave(stage) {
    this.#stages.delete(stage);
  }

  #checkbox(name, key, done) {
    const input = element("input", { type: "checkbox" });
    input.addEventListener("change", () => done(input.checked));
    element("label", { class: "field" }, element("span", {}, name, " ", element("kbd", {}, key)), input);
    return input;
  }

  #set(change) {
    Object.assign(this.#look, change);
    this.#settings.set("look", this.#look);
    this.#show();
    for (const stage of this.#stages) {
      Object.assign(stage.look, this.#look);
      stage.refresh();
    }
  }

  #show() {
    this.#opacity.value = String(Math.round(100 * this.#look.opacity));
    this.#outline.checked = this.#look.outline;
    this.#labels.checked = this.#look.labels;
  }
}
