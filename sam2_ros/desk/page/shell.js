// The places of the page that modules fill.

import { button } from "./button.js";
import { setAttribute } from "./element.js";
import { setIcon } from "./icons.js";

/**
 * top.left, top.middle, top.right: the bar; view: around the picture; rail: tools over it; corner: its top-right
 * corner; tray: over its lower edge; over: a layer above all of it (hidden while it is empty); panel: on the right, a
 * sheet on a phone; bottom: under the picture.
 */
export class Shell {
  constructor() {
    const place = (id) => document.getElementById(id);
    this.top = { left: place("top-left"), middle: place("top-middle"), right: place("top-right") };
    this.view = place("view");
    this.stage = place("stage");
    this.rail = place("rail");
    this.corner = place("corner");
    this.tray = place("tray");
    this.over = place("over");
    this.panel = place("panel");
    this.bottom = place("bottom");
    const handle = button({
      icon: "up",
      name: "More room for the panel",
      class: "handle",
      run: () => this.#toggleSheet(handle),
    });
    handle.setAttribute("aria-expanded", "false");
    this.panel.before(handle);
  }

  #toggleSheet(handle) {
    const open = document.body.classList.toggle("sheet-open");
    setAttribute(handle, "aria-expanded", String(open));
    setAttribute(handle, "aria-label", open ? "More room for the picture" : "More room for the panel");
    setIcon(handle, open ? "down" : "up");
  }
}
