// The panel beside the picture: what is tracked, and what can be done with it.

import { button } from "../button.js";
import { element, setText } from "../element.js";
import { Emitter } from "../emitter.js";
import { setIcon } from "../icons.js";
import { Objects } from "../objects.js";
import { Glance } from "./glance.js";

const PICTURE_EVERY = 1000; // milliseconds between two small pictures of an object
const SURE = 4000; // milliseconds in which a second press says that one is sure
const TOUCH = window.matchMedia("(pointer: coarse)").matches;
const [POINT, REFINE] = TOUCH
  ? ["Tap", "Tap to add; a long press says: not this."]
  : ["Click", "Click to add; right or Shift says: not this."];

/**
 * Emits "new", "live", "remove" (object ID), "label" (object ID, text), "restart" (object ID), "remove all", "node".
 */
export class Panel extends Emitter {
  /** The field of the label that new objects get. */
  nextLabel;

  #viewer;
  #selection;
  #labels;
  #objects;
  #glance;
  #node;
  #removeAll;
  #sureUntil = 0;
  #nextPictures = 0;

  constructor(host, { viewer, selection, labels, looks }) {
    super();
    this.#viewer = viewer;
    this.#selection = selection;
    this.#labels = labels;
    this.nextLabel = labels.field({
      placeholder: "Label for new things",
      name: "Label for new objects",
      done: () => {},
    });
    host.append(
      element(
        "header",
        { class: "panel-head" },
        element("h2", {}, "Objects"),
        button({ icon: "add", name: "New", key: "A", text: true, class: "quiet", run: () => this.emit("new") }),
      ),
      element("div", { class: "next-label" }, this.nextLabel),
    );
    const body = element("div", { class: "panel-body" });
    host.append(body);
    this.#objects = new Objects(body, {
      labels,
      empty: `${POINT} a thing in the picture to track it, or draw a box around it.`,
      details: () => element("p", { class: "quiet-text" }, REFINE),
    });
    this.#glance = new Glance(host, looks);
    this.#node = button({
      icon: "pause",
      name: "Pause node",
      text: true,
      class: "quiet",
      run: () => this.emit("node"),
    });
    this.#removeAll = button({
      icon: "trash",
      name: "Remove all",
      text: true,
      class: "quiet",
      run: () => this.#pressRemoveAll(),
    });
    host.append(element("footer", { class: "panel-foot" }, this.#node, this.#removeAll));

    this.#glance.on("live", () => this.emit("live"));
    this.#objects.on("choose", (objectId) => selection.choose(objectId));
    this.#objects.on("hover", (objectId) => (viewer.spotlight = objectId));
    this.#objects.on("hide", (objectId) => selection.toggleHidden(objectId));
    this.#objects.on("solo", (objectId) => selection.toggleSolo(objectId));
    for (const event of ["remove", "label", "restart"]) {
      this.#objects.on(event, (...details) => this.emit(event, ...details));
    }
  }

  /** @param {Set<number>} pending IDs of objects with a prompt that has no answer yet */
  show(pending) {
    const { masklets, picture, frozen } = this.#viewer;
    if (picture?.header.masklets && !frozen) {
      this.#selection.keepOnly(new Set([...masklets.map(({ object_id: objectId }) => objectId), ...pending]));
    }
    const rows = masklets.map((masklet) => ({
      ...masklet,
      pending: pending.has(masklet.object_id),
      hidden: this.#selection.isPutAway(masklet.object_id),
      solo: this.#selection.solo === masklet.object_id,
    }));
    this.#objects.show(rows, this.#selection.chosen);
    if (picture) this.#showPictures(picture, masklets);
    this.#labels.use(
      ...masklets.map(({ label }) => label).filter((label) => label && !this.#labels.used.includes(label)),
    );
  }

  /** Shows the live picture while another one stands. */
  showGlance() {
    const { frozen, newest } = this.#viewer;
    if (!frozen || !newest) {
      this.#glance.show(null);
      return;
    }
    const { width, height } = newest.header;
    const masks = this.#viewer.looks(newest).map((mask) => ({ ...mask, chosen: false, dim: false }));
    this.#glance.show({ bitmap: newest.bitmap, width, height, masks });
  }

  showNode(paused) {
    setText(this.#node.querySelector("span"), paused ? "Resume node" : "Pause node");
    setIcon(this.#node, paused ? "play" : "pause");
  }

  editLabel() {
    if (!this.#objects.editLabel()) this.nextLabel.focus();
  }

  reveal() {
    this.#objects.reveal();
  }

  #showPictures(picture, masklets) {
    const due = performance.now() >= this.#nextPictures;
    if (due) this.#nextPictures = performance.now() + PICTURE_EVERY;
    for (const { object_id: objectId, present, box } of masklets) {
      if (present && (due || !this.#objects.hasPicture(objectId))) {
        this.#objects.picture(objectId, picture.bitmap, picture.header, box);
      }
    }
  }

  #pressRemoveAll() {
    const words = this.#removeAll.querySelector("span");
    const sure = performance.now() < this.#sureUntil;
    this.#sureUntil = sure ? 0 : performance.now() + SURE;
    setText(words, sure ? "Remove all" : "Really all?");
    if (sure) this.emit("remove all");
    else setTimeout(() => setText(words, "Remove all"), SURE);
  }
}
