// Light or dark: as the system, or as somebody chose.

const SYSTEM_LIGHT = window.matchMedia("(prefers-color-scheme: light)");

export class Theme {
  #settings;

  constructor(settings) {
    this.#settings = settings;
    SYSTEM_LIGHT.addEventListener("change", () => this.#show());
    this.#show();
  }

  /** "light", "dark", or "" for the system's. */
  get chosen() {
    return this.#settings.get("theme", "");
  }

  set chosen(theme) {
    this.#settings.set("theme", theme);
    this.#show();
  }

  #show() {
    document.documentElement.dataset.theme = this.chosen || (SYSTEM_LIGHT.matches ? "light" : "dark");
  }
}
