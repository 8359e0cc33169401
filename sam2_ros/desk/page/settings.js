// What this browser remembers: how things are shown, never what is tracked.

const PLACE = "sam2-desk";

export class Settings {
  #values = {};

  constructor() {
    try {
      this.#values = JSON.parse(localStorage.getItem(PLACE)) ?? {};
    } catch {
      this.#values = {}; // written by something else, or the browser keeps nothing
    }
  }

  get(name, otherwise) {
    return this.#values[name] ?? otherwise;
  }

  set(name, value) {
    this.#values[name] = value;
    try {
      localStorage.setItem(PLACE, JSON.stringify(this.#values));
    } catch {
      // a private window: it is remembered until it closes
    }
  }
}
