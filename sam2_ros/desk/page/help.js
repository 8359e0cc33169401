// The help: how to point, and what the keys do.

import { button } from "./button.js";
import { element } from "./element.js";

const NAMES = {
  " ": "Space",
  ArrowLeft: "←",
  ArrowRight: "→",
  ArrowUp: "↑",
  ArrowDown: "↓",
  Delete: "Del",
  Escape: "Esc",
};

const ORDER = ["Pointing", "Objects", "Time", "Picture"]; // groups of keys; others come after them

export class Help {
  #shortcuts;
  #gestures;
  #dialog = element("dialog", { class: "help", "aria-labelledby": "help-title" });

  /** @param {Array<[string, string]>} gestures what the hand does, and what that means */
  constructor(shortcuts, gestures) {
    this.#shortcuts = shortcuts;
    this.#gestures = gestures;
    document.body.append(this.#dialog);
    this.#dialog.addEventListener("click", (event) => {
      if (event.target === this.#dialog) this.#dialog.close();
    });
    shortcuts.register([{ keys: ["?"], says: "this help", group: "Page", run: () => this.toggle() }]);
  }

  toggle() {
    if (this.#dialog.open) {
      this.#dialog.close();
      return;
    }
    const groups = new Map(ORDER.map((name) => [name, []]));
    for (const { keys, says, group } of this.#shortcuts.entries) {
      if (!says) continue;
      if (!groups.has(group)) groups.set(group, []);
      groups.get(group).push(row(keys.map(keyCap), says));
    }
    this.#dialog.replaceChildren(
      element(
        "header",
        {},
        element("h2", { id: "help-title" }, "How to point, and the keys"),
        button({ icon: "close", name: "Close", key: "Escape", run: () => this.#dialog.close() }),
      ),
      element(
        "div",
        { class: "help-groups" },
        section(
          "With mouse or finger",
          this.#gestures.map(([gesture, says]) => row([element("b", {}, gesture)], says)),
        ),
        ...[...groups].filter(([, rows]) => rows.length).map(([name, rows]) => section(name, rows)),
      ),
    );
    this.#dialog.showModal();
  }
}

function section(name, rows) {
  return element("section", {}, element("h3", {}, name), element("dl", {}, ...rows));
}

function row(terms, says) {
  return element("div", {}, element("dt", {}, ...terms), element("dd", {}, says));
}

function keyCap(key) {
  const parts = key === "+" ? ["+"] : key.split("+");
  return element(
    "kbd",
    {},
    parts.map((part) => NAMES[part] ?? (part.length === 1 ? part.toUpperCase() : part)).join(" "),
  );
}
