// Everything that is found in one picture, as proposals: a click tracks one, a button all of them.

import { button } from "../button.js";
import { element } from "../element.js";
import { Emitter } from "../emitter.js";
import { area, isOn } from "../run_lengths.js";

/** Emits "changed", "take" (a proposal), "all", "close". */
export class Everything extends Emitter {
  #bar = null;
  #host;
  #proposals = [];
  #hovered = null;

  constructor(host) {
    super();
    this.#host = host;
  }

  get open() {
    return this.#bar !== null;
  }

  /**
   * @param {Array<Object>} masklets without those that are tracked already; firstId: the next free ID, for their
   *   colours
   */
  show(masklets, firstId) {
    this.close();
    this.#proposals = masklets.map((masklet, index) => ({ ...masklet, colour_id: firstId + index }));
    const count = masklets.length;
    const found = count
      ? `${count} found. Click what should be tracked.`
      : "Nothing was found that is not tracked already.";
    this.#bar = element(
      "div",
      { class: "everything", role: "group", "aria-label": "Everything" },
      element("span", { role: "status" }, found),
      count
        ? button({
            icon: "check",
            name: `Track all ${count}`,
            text: true,
            class: "primary",
            run: () => this.emit("all"),
          })
        : null,
      button({ icon: "close", name: "Close", key: "Escape", run: () => this.#leave() }),
    );
    this.#host.append(this.#bar);
    this.emit("changed");
  }

  /** What the stage previews. */
  get preview() {
    return this.#proposals.map((proposal) => ({
      mask: proposal.mask,
      object_id: proposal.colour_id,
      dashed: proposal !== this.#hovered,
      chosen: proposal === this.#hovered,
      dim: this.#hovered !== null && proposal !== this.#hovered,
    }));
  }

  hover(place) {
    const hovered = place ? this.#at(place) : null;
    if (hovered === this.#hovered) return;
    this.#hovered = hovered;
    this.emit("changed");
  }

  click(place) {
    const proposal = this.#at(place);
    if (!proposal) return;
    this.#proposals = this.#proposals.filter((each) => each !== proposal);
    this.#hovered = null;
    this.emit("take", proposal);
    if (this.#proposals.length === 0) this.#leave();
    else this.emit("changed");
  }

  close() {
    this.#bar?.remove();
    this.#bar = null;
    this.#proposals = [];
    this.#hovered = null;
  }

  #leave() {
    this.close();
    this.emit("close");
  }

  /** The smallest proposal at a place. */
  #at({ x, y }) {
    const here = this.#proposals.filter(({ mask }) => isOn(mask, x, y));
    return here.sort((one, other) => area(one.mask) - area(other.mask))[0] ?? null;
  }
}
