// The list of a project's objects, by their state.

import { button, press } from "../button.js";
import { css, textOn } from "../colours.js";
import { element, setText } from "../element.js";
import { setIcon } from "../icons.js";
import { Emitter } from "../emitter.js";

const GROUPS = [
  { state: "open", name: "Open" },
  { state: "proposed", name: "Proposals" },
  { state: "verified", name: "Verified" },
  { state: "rejected", name: "Rejected" },
];

/** `select` (object ID); `look`: which of them are shown has changed. */
export class AnnotatedObjects extends Emitter {
  #project;
  #rows = new Map();
  #selected = null;
  #hidden = new Set();
  #solo = null;
  #folded = new Set(["rejected"]);

  constructor(project) {
    super();
    this.#project = project;
    this.groups = new Map(
      GROUPS.map(({ state, name }) => {
        const count = element("span", { class: "count" });
        const fold = element(
          "button",
          { type: "button", class: "group-name", onclick: () => this.#fold(state) },
          element("span", {}, name),
          count,
        );
        const list = element("ul", { class: "object-list", "aria-label": name });
        const section = element("section", { class: "object-group", dataset: { state } }, fold, list);
        return [state, { section, list, count, fold }];
      }),
    );
    this.element = element("div", { class: "annotated-objects" }, ...[...this.groups.values()].map((one) => one.section));
    project.on("objects", () => this.#show());
  }

  /** Whether the masks of an object are shown on the picture. Rejected ones are not, unless they are selected. */
  visible(objectId) {
    if (this.#solo !== null) return objectId === this.#solo;
    if (objectId === this.#selected) return !this.#hidden.has(objectId);
    return !this.#hidden.has(objectId) && this.#project.objects.get(objectId)?.state !== "rejected";
  }

  get solo() {
    return this.#solo;
  }

  select(objectId) {
    const moved = objectId !== this.#selected;
    this.#selected = objectId;
    const state = this.#project.objects.get(objectId)?.state;
    if (moved && this.#folded.has(state)) this.#fold(state);
    for (const [other, row] of this.#rows) row.choose(other === objectId);
    if (moved) this.#rows.get(objectId)?.element.scrollIntoView({ block: "nearest" });
  }

  hide(objectId) {
    if (!this.#hidden.delete(objectId)) this.#hidden.add(objectId);
    this.#looks();
  }

  only(objectId) {
    this.#solo = this.#solo === objectId ? null : objectId;
    this.#looks();
  }

  /** IDs in the order in which they are shown. */
  get order() {
    return [...this.#project.objects.values()]
      .filter((one) => one.state !== "rejected")
      .sort((a, b) => rank(a) - rank(b) || a.object_id - b.object_id)
      .map((one) => one.object_id);
  }

  #fold(state) {
    if (!this.#folded.delete(state)) this.#folded.add(state);
    this.#show();
  }

  #looks() {
    for (const [objectId, row] of this.#rows) row.look(this.#hidden.has(objectId), this.#solo === objectId);
    this.emit("look");
  }

  #show() {
    const { objects, frames } = this.#project;
    for (const objectId of this.#rows.keys()) if (!objects.has(objectId)) this.#rows.delete(objectId);
    if (this.#solo !== null && !objects.has(this.#solo)) this.#solo = null;
    for (const { state } of GROUPS) {
      const { section, list, count, fold } = this.groups.get(state);
      const members = [...objects.values()].filter((one) => one.state === state);
      section.hidden = members.length === 0;
      setText(count, String(members.length));
      const folded = this.#folded.has(state);
      fold.setAttribute("aria-expanded", String(!folded));
      list.hidden = folded;
      const rows = members.map((one) => {
        if (!this.#rows.has(one.object_id)) this.#rows.set(one.object_id, new Row(one.object_id, this));
        const row = this.#rows.get(one.object_id);
        row.show(one, frames);
        return row.element;
      });
      if (rows.length !== list.children.length || rows.some((row, index) => list.children[index] !== row)) {
        list.replaceChildren(...rows);
      }
    }
    this.select(this.#selected);
    this.#looks();
  }
}

class Row {
  constructor(objectId, list) {
    this.objectId = objectId;
    this.chip = element("span", { class: "chip numbered" }, String(objectId));
    this.chip.style.setProperty("--object", css(objectId));
    this.chip.style.setProperty("--on-object", textOn(objectId));
    this.label = element("span", { class: "row-label" });
    this.extent = element("span", { class: "row-extent" });
    this.choice = element(
      "button",
      { type: "button", class: "row-choice", onclick: () => list.emit("select", objectId) },
      this.chip,
      this.label,
      this.extent,
    );
    this.solo = button({ icon: "solo", name: "Show it alone", class: "row-button", pressed: false, run: () => list.only(objectId) });
    this.eye = button({ icon: "eye", name: "Hide", class: "row-button", run: () => list.hide(objectId) });
    this.element = element("li", { class: "object-row", dataset: { object: objectId } }, this.choice, this.solo, this.eye);
  }

  show(one, frames) {
    setText(this.label, one.label || "no label");
    this.label.classList.toggle("nameless", !one.label);
    const share = frames ? one.masks / frames : 0;
    setText(this.extent, one.masks >= frames ? "all frames" : `${one.masks} of ${frames}`);
    this.extent.title = `a mask on ${one.masks} of ${frames} frames, visible on ${one.present}`;
    this.element.style.setProperty("--share", String(Math.min(1, share)));
    this.element.dataset.state = one.state;
  }

  choose(chosen) {
    this.choice.setAttribute("aria-pressed", String(chosen));
    this.element.classList.toggle("chosen", chosen);
  }

  look(hidden, solo) {
    setIcon(this.eye, hidden ? "eyeOff" : "eye");
    this.eye.setAttribute("aria-label", hidden ? "Show" : "Hide");
    this.eye.title = hidden ? "Show" : "Hide";
    this.element.classList.toggle("hidden-object", hidden);
    press(this.solo, solo);
  }
}

function rank(one) {
  return GROUPS.findIndex(({ state }) => state === one.state);
}
