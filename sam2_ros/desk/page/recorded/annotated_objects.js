// The list of a project's objects, by their state.

import { element, setAttribute, setText } from "../element.js";
import { Emitter } from "../emitter.js";
import { Objects } from "../objects.js";

const GROUPS = [
  { state: "open", name: "Open" },
  { state: "proposed", name: "Proposals" },
  { state: "verified", name: "Verified" },
  { state: "rejected", name: "Rejected" },
];

/** On a phone the panel is a sheet, whose top is the selected object. */
const SHEET = window.matchMedia("(max-width: 760px)");

/** So long after a selection, milliseconds, its row is kept in view. */
const SETTLES = 1000;

/** `select` (object ID or null), `hover` (object ID or null), `look`: which of them are shown has changed. */
export class AnnotatedObjects extends Emitter {
  #project;
  #groups = new Map();
  #selected = null;
  #hidden = new Set();
  #solo = null;
  #folded = new Set(["rejected"]);
  #pictured = new Map(); // object ID -> IoU of its mask in its small picture
  #chosenAt = -Infinity;
  #states = new Map(); // object ID -> state

  constructor(host, project, labels) {
    super();
    this.#project = project;
    for (const { state, name } of GROUPS) {
      const count = element("span", { class: "count" });
      const fold = element(
        "button",
        { type: "button", class: "group-name", onclick: () => this.#fold(state) },
        element("span", {}, name),
        count,
      );
      const place = element("div", { class: "group-rows" });
      const section = element(
        "section",
        { class: "object-group", dataset: { state }, "aria-label": name },
        fold,
        place,
      );
      const rows = new Objects(place, { labels, empty: "", restart: false, details: null });
      rows.on("choose", (objectId) => this.emit("select", objectId));
      rows.on("hover", (objectId) => this.emit("hover", objectId));
      rows.on("hide", (objectId) => this.hide(objectId));
      rows.on("solo", (objectId) => this.only(objectId));
      this.#groups.set(state, { section, rows, place, count, fold });
    }
    this.element = element(
      "div",
      { class: "annotated-objects" },
      ...[...this.#groups.values()].map(({ section }) => section),
    );
    host.append(this.element);
    // what is said of the selected object above the list becomes longer when its mask has come
    new ResizeObserver(() => performance.now() - this.#chosenAt < SETTLES && this.#reveal()).observe(host);
    project.on("objects", () => this.#show());
  }

  /** Whether the masks of an object are on the picture. Rejected ones are not, unless they are selected. */
  visible(objectId) {
    if (this.#solo !== null) return objectId === this.#solo;
    if (this.#hidden.has(objectId)) return false;
    return objectId === this.#selected || this.#project.objects.get(objectId)?.state !== "rejected";
  }

  select(objectId) {
    if (objectId === this.#selected) return;
    this.#selected = objectId;
    this.#folded.delete(this.#project.objects.get(objectId)?.state);
    this.#show();
    this.#chosenAt = performance.now();
    this.#reveal();
  }

  #reveal() {
    if (SHEET.matches) return;
    for (const { rows } of this.#groups.values()) rows.reveal();
  }

  hide(objectId) {
    if (!this.#hidden.delete(objectId)) this.#hidden.add(objectId);
    this.#look();
  }

  only(objectId) {
    this.#solo = this.#solo === objectId ? null : objectId;
    this.#look();
  }

  /** IDs in the order in which they are shown. */
  get order() {
    return GROUPS.flatMap(({ state }) => this.#members(state).map((one) => one.object_id));
  }

  /** Take the small pictures of objects from a frame, where their masks are better than on those before. */
  picture(bitmap, size, masks) {
    for (const { object_id: objectId, present, iou, box, origin } of masks) {
      const worth = origin === "drawn" ? 0.99 : iou;
      if (!present || worth <= (this.#pictured.get(objectId) ?? 0)) continue;
      this.#pictured.set(objectId, worth);
      for (const { rows } of this.#groups.values()) rows.picture(objectId, bitmap, size, box);
    }
  }

  #members(state) {
    return [...this.#project.objects.values()].filter((one) => one.state === state);
  }

  #fold(state) {
    if (!this.#folded.delete(state)) this.#folded.add(state);
    this.#show();
  }

  #look() {
    this.#show();
    this.emit("look");
  }

  #show() {
    const { objects, frames } = this.#project;
    if (this.#solo !== null && !objects.has(this.#solo)) this.#solo = null;
    for (const [objectId, { state }] of objects) {
      if (this.#states.get(objectId) !== state) this.#pictured.delete(objectId); // its row is a new one
      this.#states.set(objectId, state);
    }
    for (const [state, { section, rows, place, count, fold }] of this.#groups) {
      const members = this.#members(state);
      section.hidden = members.length === 0;
      setText(count, String(members.length));
      const folded = this.#folded.has(state);
      setAttribute(fold, "aria-expanded", String(!folded));
      place.hidden = folded;
      rows.show(
        members.map((one) => ({
          object_id: one.object_id,
          label: one.label,
          present: true,
          presence: frames ? one.masks / frames : 0,
          state: extent(one, frames),
          hidden: this.#hidden.has(one.object_id),
          solo: this.#solo === one.object_id,
        })),
        this.#selected,
      );
    }
  }
}

function extent(one, frames) {
  const known = one.masks >= frames ? "all" : `${one.masks} / ${frames}`;
  return one.state === "rejected" && one.reason ? `${known} · ${one.reason}` : known;
}
