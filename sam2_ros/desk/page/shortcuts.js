// The keyboard: every key says what it does, so that the help can list it.

export class Shortcuts {
  #entries = [];

  constructor() {
    window.addEventListener("keydown", (event) => this.#press(event));
    document.addEventListener("click", (event) => {
      // A button that was clicked with the mouse would take Space and Enter from then on.
      if (event.detail > 0) event.target.closest?.("button")?.blur();
    });
  }

  /**
   * @param {Array<{keys: string[], says: string, group: string, when?: function, run: function}>} entries
   *   keys as KeyboardEvent.key, letters in lower case, "Shift+..." with Shift, "Ctrl+..." with Ctrl or Cmd, "1-9" for
   *   digits (`run` gets the event);
   *   `says` is what it does, for the help; `when` whether it does so now.
   */
  register(entries) {
    this.#entries.push(...entries);
  }

  get entries() {
    return this.#entries;
  }

  #press(event) {
    if (event.altKey || event.defaultPrevented) return;
    const { target } = event;
    const popover = event.key === "Escape" && document.querySelector(":popover-open");
    if (popover) {
      popover.hidePopover();
      return;
    }
    if (target.closest("textarea, select, [contenteditable], input:not([type=range], [type=checkbox])")) return;
    if (document.querySelector("dialog[open]") && event.key !== "?") return;
    const onButton = target.closest("button, a, summary, input");
    if (onButton && (event.key === " " || event.key === "Enter")) return;
    if (target.closest("input, [role=slider], [role=radio]") && event.key.startsWith("Arrow")) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const ctrl = event.ctrlKey || event.metaKey ? "Ctrl+" : "";
    const names = [`${ctrl}${event.shiftKey ? "Shift+" : ""}${key}`];
    if (!ctrl) names.push(key);
    if (!ctrl && /^[1-9]$/.test(key)) names.push("1-9");
    for (const name of names) {
      const entry = this.#entries.find(({ keys, when }) => keys.includes(name) && (!when || when()));
      if (entry) {
        event.preventDefault();
        entry.run(event);
        return;
      }
    }
  }
}
