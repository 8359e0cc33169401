// What comes out of a project: data sets of its verified masklets, and weights that have learnt from them.

import { button } from "../button.js";
import { element, setText } from "../element.js";
import { JobCards } from "./jobs.js";
import { sentence } from "./project.js";

const FORMATS = {
  sav: "SA-V: videos, and JSON with run lengths",
  davis: "DAVIS: JPEG images and PNG masks",
  mose: "MOSE: the same, without a resolution",
  "youtube-vos": "YouTube-VOS: the same, with categories",
  coco: "COCO: JPEG images, and JSON with run lengths",
  yolo: "YOLO: JPEG images, and polygons",
  bag: "ROS 2 bags (MCAP) with masklets and prompts",
  video: "videos with the masklets drawn over them",
};

export class Outputs {
  #project;
  #settings;

  constructor(project, jobs, settings, formats = FORMATS) {
    this.#project = project;
    this.#settings = settings;
    const chosen = settings.get("formats", ["sav", "coco"]);
    this.formats = Object.entries(formats).map(([name, says]) => {
      const box = element("input", { type: "checkbox", value: name, checked: chosen.includes(name) });
      return element("label", { class: "check" }, box, element("b", {}, name), element("span", {}, says));
    });
    this.which = element(
      "select",
      { id: "which" },
      element("option", { value: "verified_only" }, "verified masklets"),
      element("option", { value: "unverified" }, "all masklets, verified or not"),
    );
    this.ready = element("p", { class: "outputs-ready" });
    this.minutes = element("input", { type: "number", id: "minutes", min: 1, max: 10080, step: 1, required: true });
    this.minutes.value = settings.get("minutes", 30);
    this.exports = new JobCards(jobs, ["export"], { stays: Infinity, lines: true });
    this.trainings = new JobCards(jobs, ["fine-tune"], { stays: Infinity, lines: true });
    this.exportButton = button({
      icon: "download",
      name: "Export",
      text: true,
      class: "primary",
      run: () => this.#export(),
    });
    this.tuneButton = button({
      icon: "tune",
      name: "Fine-tune",
      text: true,
      class: "primary",
      run: () => this.#fineTune(),
    });
    this.problem = element("p", { class: "field-problem", role: "alert" });
    this.element = element(
      "section",
      { class: "outputs", "aria-label": "Outputs", tabindex: -1, hidden: true },
      element("header", {}, element("h2", {}, "Out of this project"), this.ready),
      element(
        "div",
        { class: "outputs-columns" },
        element(
          "section",
          { "aria-labelledby": "export-title" },
          element("h3", { id: "export-title" }, "Data sets"),
          element("label", { class: "field", for: "which" }, "What goes out", this.which),
          element("fieldset", {}, element("legend", { class: "unseen" }, "Formats"), ...this.formats),
          this.exportButton,
          this.exports.element,
        ),
        element(
          "section",
          { "aria-labelledby": "tune-title" },
          element("h3", { id: "tune-title" }, "Better weights"),
          element("p", {}, "A model learns from the verified masklets, and is compared with the one before."),
          element("label", { class: "field", for: "minutes" }, "Minutes of training", this.minutes),
          this.tuneButton,
          this.trainings.element,
        ),
      ),
      this.problem,
    );
    project.on("objects", () => this.#count());
    jobs.on("change", () => {
      this.exportButton.disabled = jobs.running("export").length > 0;
      this.tuneButton.disabled = jobs.running("fine-tune").length > 0;
    });
  }

  show(open) {
    this.element.hidden = !open;
    if (open) this.element.focus();
  }

  #count() {
    const all = [...this.#project.objects.values()].filter((one) => one.state !== "rejected");
    const verified = all.filter((one) => one.state === "verified").length;
    setText(
      this.ready,
      verified
        ? `${verified} of ${all.length} masklets are verified.`
        : "No masklet is verified yet: somebody else than its annotator has to judge it first.",
    );
  }

  async #export() {
    const formats = this.formats.map((label) => label.firstChild).filter((box) => box.checked);
    const names = formats.map((box) => box.value);
    this.#settings.set("formats", names);
    if (!names.length) return setText(this.problem, "Choose a format.");
    await this.#start("export", { formats: names, [this.which.value]: true });
  }

  async #fineTune() {
    if (!this.minutes.reportValidity()) return;
    const minutes = Number(this.minutes.value);
    this.#settings.set("minutes", minutes);
    await this.#start("fine_tune", { minutes });
  }

  async #start(type, fields) {
    setText(this.problem, "");
    try {
      await this.#project.ask(type, fields);
    } catch (error) {
      setText(this.problem, sentence(error.message));
    }
  }
}
