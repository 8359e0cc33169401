// What the page says in passing, at the bottom; also read aloud by assistive technology.

import { element } from "./element.js";
import { button } from "./button.js";

const STAYS = 6000; // milliseconds

export class Notices {
  #polite = element("div", { class: "notices", role: "status", "aria-live": "polite" });
  #urgent = element("div", { class: "notices", role: "alert" });

  constructor(host) {
    host.append(this.#urgent, this.#polite);
  }

  /** Says something that went well, or that is good to know. */
  say(text, { action } = {}) {
    return this.#show(this.#polite, "notice", text, STAYS, action);
  }

  /** Says that something did not work, and why. */
  refuse(text, { action } = {}) {
    return this.#show(this.#urgent, "notice is-refusal", text, 2 * STAYS, action);
  }

  /** Says something until the returned function is called. */
  keep(text, { action } = {}) {
    return this.#show(this.#urgent, "notice is-kept", text, Infinity, action);
  }

  #show(place, names, text, milliseconds, action) {
    for (const old of place.querySelectorAll(".notice")) if (old.dataset.text === text) old.remove();
    const notice = element("div", { class: names, dataset: { text } }, element("span", {}, text));
    const end = () => notice.remove();
    if (action) {
      const run = () => {
        end();
        action.run();
      };
      notice.append(button({ name: action.name, text: true, class: "quiet", run }));
    }
    if (milliseconds < Infinity) {
      notice.append(button({ icon: "close", name: "Close", run: end }));
      setTimeout(end, milliseconds);
    }
    place.append(notice);
    while (place.children.length > 3) place.firstChild.remove();
    return end;
  }
}
