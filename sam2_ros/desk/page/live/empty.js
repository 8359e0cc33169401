// What is shown while no camera is there: what to do.

import { button } from "../button.js";
import { element } from "../element.js";
import { icon } from "../icons.js";

const COMMANDS = [
  ["A camera that is there already", "ros2 launch sam2_ros sam2.launch.py image:=/camera/image_raw"],
  ["No robot at hand: a demo scene", "make desk"],
];

export class Empty {
  #made;

  constructor(host) {
    this.#made = element(
      "section",
      { class: "empty-state", "aria-labelledby": "empty-title", hidden: true },
      element("span", { class: "empty-icon" }, icon("camera")),
      element("h1", { id: "empty-title" }, "No camera yet"),
      element("p", {}, "The desk shows every camera that a sam2 node works on, as soon as it appears. Start one:"),
      ...COMMANDS.map(([what, command]) => line(what, command)),
      element("p", { class: "quiet-text" }, "Nodes on other machines appear too, with the same ROS_DOMAIN_ID."),
      element(
        "p",
        { class: "searching", role: "status" },
        element("span", { class: "pulse", "aria-hidden": "true" }),
        "Looking for cameras …",
      ),
    );
    host.append(this.#made);
  }

  set open(open) {
    this.#made.hidden = !open;
  }
}

function line(what, command) {
  const copy = button({
    icon: "copy",
    name: "Copy the command",
    run: async () => {
      await navigator.clipboard?.writeText(command);
      copy.classList.add("is-done");
      setTimeout(() => copy.classList.remove("is-done"), 1500);
    },
  });
  return element(
    "div",
    { class: "command" },
    element("span", {}, what),
    element("div", {}, element("code", {}, command), copy),
  );
}
