// The object that is pointed at: its label and attributes, its mask on this frame, and what can be done with it.

import { button } from "../button.js";
import { css, textOn } from "../colours.js";
import { element, setText } from "../element.js";

const STATES = { proposed: "proposed", open: "", verified: "verified", rejected: "rejected" };
const MADE_BY = {
  automatic: "Found automatically",
  propagated: "Propagated",
  prompted: "By clicks or a box",
  drawn: "Painted by hand",
};

export class ObjectCard {
  #project;
  #annotating;
  #seen = 0; // the last action when somebody began to change the label or an attribute
  #objectId;

  /**
   * @param act {propagate(), next(), reject(), removeMask(), fresh()}.
   */
  constructor(project, annotating, labels, act) {
    this.#project = project;
    this.#annotating = annotating;
    this.chip = element("span", { class: "chip numbered large" });
    this.label = labels.field({
      name: "Label",
      placeholder: "Label",
      done: (label) => this.#relabel(label),
      id: "object-label",
    });
    this.label.addEventListener("focus", () => (this.#seen = project.lastAction));
    this.state = element("p", { class: "object-state" });
    this.here = element("p", { class: "object-here" });
    this.attributes = element("dl", { class: "attributes" });
    this.more = element(
      "details",
      { class: "object-attributes" },
      element("summary", {}, "Attributes"),
      this.attributes,
    );
    this.propagate = button({
      icon: "propagate",
      name: "Propagate",
      key: "R",
      text: true,
      class: "primary",
      run: act.propagate,
    });
    this.next = button({
      icon: "forward",
      name: "Next frame",
      key: "Enter",
      text: true,
      class: "primary",
      run: act.next,
    });
    this.remove = button({ icon: "trash", name: "Remove the mask on this frame", key: "Delete", run: act.removeMask });
    this.reject = button({ icon: "no", name: "No object: reject it", run: act.reject });
    this.fresh = button({ icon: "add", name: "New object", key: "N", run: act.fresh });
    this.element = element(
      "section",
      { class: "object-card", "aria-label": "The object that is pointed at" },
      element("header", {}, this.chip, this.label, this.fresh),
      this.here,
      this.state,
      element("div", { class: "object-buttons card-buttons" }, this.propagate, this.next, this.remove, this.reject),
      this.more,
    );
  }

  focusLabel() {
    this.label.focus();
    this.label.select();
  }

  /**
   * @param frame on the screen.
   * @param propagation {possible, why}: whether the object can be propagated now.
   * @param {number|null} annotated how many frames phase 1 annotates; null: it is another phase.
   */
  show(frame, propagation, annotated) {
    const objectId = this.#annotating.selected;
    const one = this.#project.objects.get(objectId) ?? null;
    const moved = objectId !== this.#objectId;
    this.#objectId = objectId;
    const fresh = objectId === null;
    this.element.classList.toggle("fresh", fresh);
    this.element.style.setProperty("--object", fresh ? "transparent" : css(objectId));
    this.element.style.setProperty("--on-object", fresh ? "inherit" : textOn(objectId));
    setText(this.chip, fresh ? "+" : String(objectId));
    if (moved || document.activeElement !== this.label)
      this.label.value = fresh ? this.#annotating.newLabel : (one?.label ?? "");
    this.fresh.hidden = fresh;
    const reason = one?.reason ? `: ${one.reason}` : "";
    setText(this.state, `${STATES[one?.state] ?? ""}${one?.state === "open" ? one.reason : reason}`);
    this.state.dataset.state = one?.state ?? "new";
    this.state.hidden = !this.state.textContent;
    for (const part of [this.propagate.parentElement, this.more]) part.hidden = fresh;
    setText(this.here, this.#describeHere(frame, fresh));
    this.propagate.hidden = annotated !== null;
    this.next.hidden = annotated === null;
    setText(this.next.lastChild, `Next frame · ${one?.annotated ?? 0} of ${annotated}`);
    this.propagate.disabled = !propagation.possible;
    this.propagate.title = propagation.why;
    this.remove.disabled = !this.#project.masks.of(objectId, frame);
    this.reject.disabled = one?.state === "rejected";
    if (moved || !this.attributes.contains(document.activeElement)) this.#showAttributes(one);
  }

  #describeHere(frame, fresh) {
    if (fresh) return "Click on it, or drag a box around it.";
    const mask = this.#project.masks.of(this.#objectId, frame);
    if (!mask) return this.#project.masks.ready(frame) ? "No mask on this frame." : " ";
    const made = MADE_BY[mask.origin] ?? mask.origin;
    const said = mask.present ? [made] : ["Not visible here", made.toLowerCase()];
    if (mask.present && mask.origin !== "drawn") said.push(`IoU ${mask.iou.toFixed(2)}`);
    if (mask.author && mask.origin !== "automatic") said.push(mask.author);
    return said.join(" · ");
  }

  #showAttributes(one) {
    const entries = Object.entries(one?.attributes ?? {});
    const rows = [...entries, ["", ""]].map(([key, value]) => {
      const field = (name, text) => {
        const made = element("input", {
          type: "text",
          maxlength: 256,
          "aria-label": name,
          placeholder: name,
          autocomplete: "off",
        });
        made.value = text;
        made.addEventListener("focus", () => (this.#seen = this.#project.lastAction));
        made.addEventListener("keydown", (event) => {
          if (event.key === "Enter") made.blur();
        });
        made.addEventListener("change", () => this.#changeAttributes());
        return made;
      };
      return element(
        "div",
        { class: "attribute" },
        element("dt", {}, field("Name", key)),
        element("dd", {}, field("Value", value)),
      );
    });
    this.attributes.replaceChildren(...rows);
    setText(this.more.firstChild, entries.length ? `Attributes (${entries.length})` : "Attributes");
  }

  #relabel(label) {
    if (this.#objectId === null) {
      this.#annotating.newLabel = label;
      return;
    }
    const known = this.#project.objects.get(this.#objectId);
    if (known && label !== known.label) this.#describe({ label });
  }

  #changeAttributes() {
    const attributes = {};
    for (const row of this.attributes.children) {
      const [key, value] = [...row.querySelectorAll("input")].map((field) => field.value.trim());
      if (key) attributes[key] = value;
    }
    const known = this.#project.objects.get(this.#objectId);
    if (known && JSON.stringify(attributes) !== JSON.stringify(known.attributes)) this.#describe({ attributes });
  }

  #describe(change) {
    // what is not in it stays as it is
    this.#project.change("describe", { object_id: this.#objectId, seen: this.#seen, ...change });
  }
}
