// The panel of objects: a row for each, with its picture, label and presence, and what can be done with it.

import { button, press } from "./button.js";
import { css, textOn } from "./colours.js";
import { element, setAttribute, setText } from "./element.js";
import { Emitter } from "./emitter.js";
import { setIcon } from "./icons.js";

const PICTURE = 44; // CSS pixels

/**
 * Emits "choose" (object ID or null), "hover" (object ID or null), "hide", "solo", "remove", "restart" (object ID),
 * "label" (object ID, text).
 */
export class Objects extends Emitter {
  #list = element("ul", { class: "objects", "aria-label": "Objects" });
  #empty;
  #rows = new Map();
  #labels;
  #details;
  #restart;
  #chosen = null;

  /**
   * @param {HTMLElement} host
   * @param {Object} options
   * @param {Labels} options.labels
   * @param {string} options.empty what is said while there is no object
   * @param {boolean} [options.restart] whether objects can be started again
   * @param {?function(Object): ?Node} [options.details] what else the chosen object's row shows, made when it is
   *   chosen; null: rows do not open
   */
  constructor(host, { labels, empty, restart = true, details = () => null }) {
    super();
    this.#labels = labels;
    this.#details = details;
    this.#restart = restart;
    this.#empty = element("p", { class: "empty" }, empty);
    this.#list.addEventListener("pointerleave", () => this.emit("hover", null));
    host.append(this.#empty, this.#list);
  }

  /**
   * Shows these rows, in this order.
   *
   * @param {Array<Object>} rows each {object_id, label, present, presence (0 .. 1 or null), state (a short text instead
   *   of the presence), pending, hidden, solo}
   * @param {number|null} chosen ID of the object whose row is open
   */
  show(rows, chosen = null) {
    this.#empty.hidden = rows.length > 0;
    const ids = new Set(rows.map((row) => row.object_id));
    for (const [objectId, row] of this.#rows) {
      if (!ids.has(objectId)) {
        const focused = row.item.contains(document.activeElement);
        row.item.remove();
        this.#rows.delete(objectId);
        if (focused) this.#list.querySelector("button")?.focus();
      }
    }
    this.#chosen = chosen;
    let before = null;
    for (const shown of rows) {
      if (!this.#rows.has(shown.object_id)) this.#rows.set(shown.object_id, this.#make(shown.object_id));
      const row = this.#rows.get(shown.object_id);
      const place = before ? before.nextSibling : this.#list.firstChild;
      if (row.item !== place) this.#list.insertBefore(row.item, place);
      before = row.item;
      this.#update(row, shown);
    }
  }

  /** Draws an object's picture: what is inside its box, of an image of this size. */
  picture(objectId, bitmap, { width, height }, box) {
    const row = this.#rows.get(objectId);
    if (!row || !box || !box[2]) return;
    const ratio = bitmap.width / width;
    const side = Math.min(Math.max(box[2], box[3]) * 1.25 + 8, Math.min(width, height));
    const left = Math.min(Math.max(box[0] + box[2] / 2 - side / 2, 0), width - side);
    const top = Math.min(Math.max(box[1] + box[3] / 2 - side / 2, 0), height - side);
    const context = row.picture.getContext("2d");
    context.drawImage(bitmap, left * ratio, top * ratio, side * ratio, side * ratio, 0, 0, 2 * PICTURE, 2 * PICTURE);
    row.item.classList.add("has-picture");
  }

  /** Whether an object's picture has been drawn. */
  hasPicture(objectId) {
    return this.#rows.get(objectId)?.item.classList.contains("has-picture") ?? false;
  }

  /** Puts the keyboard into the chosen object's label. Returns whether there is one. */
  editLabel() {
    const field = this.#rows.get(this.#chosen)?.item.querySelector("input");
    field?.focus();
    field?.select();
    return field !== undefined && field !== null;
  }

  /** Shows the chosen row. */
  reveal() {
    this.#rows.get(this.#chosen)?.item.scrollIntoView({ block: "nearest" });
  }

  #make(objectId) {
    const picture = element("canvas", { width: 2 * PICTURE, height: 2 * PICTURE, "aria-hidden": "true" });
    const chip = element("span", { class: "chip" }, String(objectId));
    const label = element("span", { class: "label" });
    const state = element("span", { class: "state" });
    const meter = element("span", { class: "meter", "aria-hidden": "true" }, element("span", {}));
    const choose = element(
      "button",
      {
        type: "button",
        class: "object-main",
        onclick: () => this.emit("choose", this.#chosen === objectId ? null : objectId),
      },
      element("span", { class: "picture" }, picture, chip),
      element("span", { class: "words" }, label, state, meter),
    );
    const hide = button({ icon: "eye", name: "Hide", pressed: false, run: () => this.emit("hide", objectId) });
    const solo = button({
      icon: "solo",
      name: "Only this one",
      pressed: false,
      run: () => this.emit("solo", objectId),
    });
    const item = element(
      "li",
      { class: "object", dataset: { objectId: String(objectId) } },
      choose,
      element("span", { class: "object-buttons" }, solo, hide),
    );
    item.style.setProperty("--object", css(objectId));
    item.style.setProperty("--on-object", textOn(objectId));
    item.addEventListener("pointerenter", () => this.emit("hover", objectId));
    return { item, picture, label, state, meter: meter.firstChild, choose, hide, solo, details: null };
  }

  #update(row, shown) {
    const { object_id: objectId, label, present, presence, state, pending, hidden, solo } = shown;
    const name = label || `Object ${objectId}`;
    const chosen = this.#chosen === objectId;
    setText(row.label, name);
    const share = presence === null || presence === undefined ? "" : `${Math.round(100 * presence)} %`;
    setText(row.state, pending ? "asked …" : (state ?? (present ? share : `away${share ? ` · ${share}` : ""}`)));
    row.meter.style.setProperty("--part", String(presence ?? 0));
    setAttribute(row.choose, "aria-pressed", String(chosen));
    for (const [flag, on] of Object.entries({ chosen, pending, hidden, away: !present && !pending, unnamed: !label })) {
      row.item.classList.toggle(`is-${flag}`, Boolean(on));
    }
    press(row.hide, Boolean(hidden));
    setIcon(row.hide, hidden ? "eyeOff" : "eye");
    setAttribute(row.hide, "aria-label", `Hide ${name}`);
    press(row.solo, Boolean(solo));
    setAttribute(row.solo, "aria-label", `Show only ${name}`);
    if (chosen && !row.details && this.#details) this.#open(row, shown);
    else if (!chosen && row.details) {
      row.details.remove();
      row.details = null;
    } else if (chosen && row.field && row.field !== document.activeElement && row.field.value !== (label ?? "")) {
      row.field.value = label ?? "";
    }
  }

  #open(row, shown) {
    const { object_id: objectId, label } = shown;
    row.field = this.#labels.field({
      value: label ?? "",
      placeholder: "Label",
      name: `Label of object ${objectId}`,
      done: (text) => this.emit("label", objectId, text),
    });
    const act = (name) => () => this.emit(name, objectId);
    row.details = element(
      "div",
      { class: "object-details" },
      row.field,
      element(
        "div",
        { class: "object-actions" },
        this.#restart ? button({ icon: "restart", name: "Restart", key: "R", text: true, run: act("restart") }) : null,
        button({ icon: "trash", name: "Remove", key: "Delete", text: true, class: "danger", run: act("remove") }),
      ),
      this.#details(shown),
    );
    row.item.append(row.details);
  }
}
