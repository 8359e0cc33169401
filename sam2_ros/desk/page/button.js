// A button: icon, name, and what it does.

import { element } from "./element.js";
import { icon } from "./icons.js";

/**
 * @param {Object} options
 * @param {string} [options.icon] a name in icons.js
 * @param {string} options.name what it does; shown, or read and in the tooltip if `text` is false
 * @param {string} [options.key] its key, for the tooltip
 * @param {boolean} [options.text] whether the name is shown
 * @param {string} [options.class]
 * @param {boolean} [options.pressed] for a button that stays down: whether it is
 * @param {function} options.run
 */
export function button({ icon: shape, name, key, text = false, class: names = "", pressed, run, dataset }) {
  const made = element("button", {
    type: "button",
    class: `button ${text ? "" : "bare"} ${names}`.trim(),
    title: key ? `${name} (${key})` : text ? null : name,
    "aria-label": text ? null : name,
    "aria-keyshortcuts": key && /^[A-Z]$|^Delete$|^Escape$|^Space$/.test(key) ? key : null,
    "aria-pressed": pressed === undefined ? null : String(pressed),
    dataset,
    onclick: run,
  });
  if (shape) {
    made.dataset.icon = shape;
    made.append(icon(shape));
  }
  if (text) made.append(element("span", {}, name));
  return made;
}

/** Whether a button that stays down is down. */
export function press(made, pressed) {
  made.setAttribute("aria-pressed", String(pressed));
}
