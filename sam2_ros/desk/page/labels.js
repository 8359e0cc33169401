// Labels that were used before, newest first, for completion.

import { element } from "./element.js";

const MOST = 60;
export const LONGEST_LABEL = 256; // what the tracker takes

export class Labels {
  #settings;
  #list = element("datalist", { id: "labels" });

  constructor(settings) {
    this.#settings = settings;
    document.body.append(this.#list);
    this.#show();
  }

  get used() {
    return this.#settings.get("labels", []);
  }

  /** Puts labels first in the list. */
  use(...labels) {
    const used = this.used;
    const fresh = [...new Set(labels.map((label) => label.trim()).filter(Boolean))];
    if (fresh.every((label) => used.includes(label)) && fresh.length !== 1) return;
    if (fresh.length === 0 || (fresh.length === 1 && used[0] === fresh[0])) return;
    this.#settings.set("labels", [...new Set([...fresh, ...used])].slice(0, MOST));
    this.#show();
  }

  /** A field for a label that completes what is typed; `done(label)` is called on Enter or when it is left changed. */
  field({ value = "", placeholder = "", name, done, ...attributes }) {
    const input = element("input", {
      type: "text",
      list: "labels",
      maxlength: LONGEST_LABEL,
      autocomplete: "off",
      spellcheck: "false",
      placeholder,
      "aria-label": name,
      ...attributes,
    });
    input.value = value;
    input.addEventListener("change", () => {
      const label = input.value.trim();
      if (label) this.use(label);
      done(label);
    });
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") input.blur();
      if (event.key === "Escape") {
        input.value = value;
        input.blur();
      }
      event.stopPropagation();
    });
    return input;
  }

  #show() {
    this.#list.replaceChildren(...this.used.map((label) => element("option", { value: label })));
  }
}
