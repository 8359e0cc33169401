// In the picture's corner: whether it is live, how many pictures come, and how old they are.

import { element, setAttribute, setText } from "../element.js";

export class Corner {
  #state = element("b", {});
  #numbers = element("span", { class: "numbers" });
  #made;

  constructor(host) {
    this.#made = element(
      "div",
      { class: "status" },
      element("span", { class: "dot", "aria-hidden": "true" }),
      this.#state,
      this.#numbers,
    );
    host.append(this.#made);
  }

  /**
   * @param {Object} now
   * @param {boolean} now.connected
   * @param {Object|undefined} now.camera as the server lists it
   * @param {Viewer} now.viewer
   * @param {Rate} now.rate
   * @param {boolean} now.nodePaused
   */
  show({ connected, camera, viewer, rate, nodePaused }) {
    const { frozen, picture, newest, known } = viewer;
    let state = "live";
    if (!connected) state = "lost";
    else if (frozen) state = known ? "paused" : "gone";
    else if (camera && !camera.online) state = "offline";
    else if (newest?.header.masklets === null) state = "silent";
    const words = {
      live: "Live",
      lost: "No connection",
      paused: "Paused",
      gone: "Paused: too old for the node to be prompted on",
      offline: camera?.problem || "The camera is silent",
      silent: nodePaused ? "Node paused: pictures only" : camera?.problem || "Node silent: pictures only",
    };
    setText(this.#state, words[state]);
    setAttribute(this.#made, "data-state", state);
    const age = rate.age === null ? "" : ` · ${Math.round(rate.age)} ms`;
    setText(this.#numbers, state === "live" && picture ? `${rate.rate.toFixed(rate.rate < 9.5 ? 1 : 0)}/s${age}` : "");
    const node = camera?.latency_ms ? `; the node takes ${Math.round(camera.latency_ms)} ms` : "";
    setAttribute(this.#made, "title", `Pictures on this screen a second; from the node's message to the screen${node}`);
    this.#made.hidden = viewer.camera === null;
  }
}
