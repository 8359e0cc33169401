// The page over a recording: its parts, and how they work together.

import { button } from "../button.js";
import { css } from "../colours.js";
import { element, setAttribute, setText } from "../element.js";
import { Help } from "../help.js";
import { Looks } from "../looks.js";
import { AnnotatedObjects } from "./annotated_objects.js";
import { Annotating } from "./annotating.js";
import { Annotator } from "./annotator.js";
import { Brush } from "./brush.js";
import { JobCards, Jobs } from "./jobs.js";
import { keys } from "./keys.js";
import { ModelState } from "./model_state.js";
import { Navigation } from "./navigation.js";
import { ObjectCard } from "./object_card.js";
import { Outputs } from "./outputs.js";
import { Phases } from "./phases.js";
import { Pictures } from "./pictures.js";
import { PicturePointer } from "./picture_pointer.js";
import { PictureView } from "./picture_view.js";
import { Playback } from "./playback.js";
import { Player } from "./player.js";
import { Project, sentence } from "./project.js";
import { Propagation } from "./propagation.js";
import { RecordingTimeline } from "./recording_timeline.js";
import { Tools } from "./tools.js";
import { Verification } from "./verification.js";
import { WorkTime } from "./work_time.js";

const GESTURES = [
  ["Click", "belongs to the selected object; none: select what is there, or a new one"],
  ["Right click, Shift", "what does not belong to it"],
  ["Drag", "a box around it"],
  ["Ctrl + click", "select the object there"],
  ["Alt + click", "always a new object"],
  ["Tap, long press", "with a finger: yes, no"],
  ["Wheel, two fingers", "zoom"],
  ["Middle button, Space", "and dragging: move the picture"],
];

/** In this order: what small screens need changes the others. */
const STYLES = [
  "bar",
  "panel",
  "jobs",
  "tools",
  "time",
  "verification",
  "outputs",
  "annotator",
  "small_screens",
];

const VIEWS = { annotate: "Annotate", verify: "Verify", outputs: "Outputs" };

/** Fill the page. Returns {greeted(hello)}, which is called after every connection. */
export async function start({ connection, hello, stage, shell, shortcuts, notices, settings, labels }) {
  await Promise.all(STYLES.map(styled));
  document.body.classList.remove("is-empty");
  document.body.dataset.mode = "recorded";
  document.title = `${hello.name} · annotation`;
  const desk = new Annotation({ connection, hello, stage, shell, shortcuts, notices, settings, labels });
  Object.assign(window.desk, { project: desk.project, player: desk.player, annotating: desk.annotating });
  return { greeted: (again) => desk.greeted(again) };
}

class Annotation {
  #hello;
  #stage;
  #shell;
  #notices;
  #view = "annotate";
  #lookedAt = null; // {key, action}: the mask of the selected object on the screen, and what made it

  constructor({ connection, hello, stage, shell, shortcuts, notices, settings, labels }) {
    [this.#hello, this.#stage, this.#shell, this.#notices] = [hello, stage, shell, notices];
    this.labels = labels;
    this.time = new WorkTime();
    this.project = new Project(connection, hello, this.time);
    this.pictures = new Pictures(hello.fingerprint ?? hello.version, hello.frames, hello.damaged);
    this.player = new Player(this.pictures, this.project.masks, this.project.span, hello.fps);
    this.head = element("div", { class: "panel-top" });
    this.phases = new Phases(this.head, settings);
    this.annotating = new Annotating(this.project, this.player, this.phases);
    this.brush = new Brush(this.annotating, settings);
    this.jobs = new Jobs(this.project, connection);
    this.help = new Help(shortcuts, GESTURES);
    this.looks = new Looks(shell.top.right, settings, shortcuts);
    this.looks.apply(stage);
    this.#buildTop(settings, connection);
    this.#buildPanel();
    this.#buildBottom();
    this.#buildOver(shortcuts, settings);
    this.view = new PictureView(stage, shell.view, hello, this);
    this.tools = new Tools(shell.rail, shell.tray, this.brush);
    this.pointer = new PicturePointer(stage, shell.tray, this);
    this.navigation = new Navigation(this, notices, hello.annotated_frames);
    this.propagation = new Propagation(this, notices);
    markTabbing(stage.element);
    this.#listen();
    shortcuts.register(keys(this, { stage, ...this }));
    this.show("annotate");
    this.player.go(this.project.span[0]);
    this.view.show();
  }

  /** After every connection: what the server says first. */
  async greeted(hello) {
    this.model.show(hello.model);
    for (const [frame, reason] of Object.entries(hello.damaged ?? {})) this.pictures.damaged.set(Number(frame), reason);
    this.timeline.damaged([...this.pictures.damaged.keys()]);
    this.player.go(this.player.frame);
    this.project.refresh();
    this.view.show();
    this.project.ask("labels").then(
      ({ labels }) => this.labels.use(...labels.reverse()),
      () => {},
    );
    await this.annotator.greet(hello.annotator);
    this.verification.refresh();
  }

  /** "annotate", "verify" or "outputs". */
  get shownView() {
    return this.#view;
  }

  // ---- what people do

  async reverse(type) {
    if (type === "undo" && this.brush.changed) return this.brush.undo();
    if (type === "redo" && this.brush.canRedo) return this.brush.redo();
    const answer = await this.project.change(type, {});
    if (!answer) return;
    this.#notices.say(`${type === "undo" ? "Undone" : "Done again"}: ${answer.what}`);
    if (answer.frame !== null && answer.frame !== undefined) this.player.go(answer.frame);
    if (this.project.objects.has(answer.object_id)) this.annotating.select(answer.object_id);
  }

  async reject() {
    const objectId = this.annotating.selected;
    if (objectId === null) return;
    const label = this.project.label(objectId);
    const seen = this.project.lastAction;
    const done = await this.project.change("judge", { object_id: objectId, verdict: "no object", own: true, seen });
    if (done) this.#notices.say(`${label} is rejected.`, { action: { name: "Undo", run: () => this.reverse("undo") } });
  }

  async propose() {
    try {
      await this.project.ask("propose", {});
      this.show("annotate");
    } catch (error) {
      this.#notices.refuse(sentence(error.message));
    }
  }

  /** @param view "annotate", "verify" or "outputs". */
  show(view) {
    if (this.brush.changed) this.brush.save();
    this.player.pause();
    this.#view = view;
    this.verification.show(view === "verify");
    this.outputs.show(view === "outputs");
    document.body.dataset.view = view;
    for (const made of this.views) setAttribute(made, "aria-current", made.dataset.view === view ? "true" : null);
  }

  /** Back from what is nearest: something begun, another view, strokes, a tool, an object. */
  escape() {
    if (this.pointer.abandon()) return;
    if (this.#view !== "annotate") this.show("annotate");
    else if (this.brush.changed) this.brush.discard();
    else if (this.pointer.tool !== "yes") this.pointer.choose("yes");
    else this.annotating.select(null);
  }

  // ---- how the parts hang together

  #buildTop(settings, connection) {
    const { left, middle, right } = this.#shell.top;
    this.model = new ModelState(connection);
    left.querySelector(".brand")?.remove();
    left.append(
      element("h1", { class: "recording-name", title: this.#hello.project }, this.#hello.name),
      this.model.element,
    );
    this.views = Object.entries(VIEWS).map(([view, name]) =>
      element(
        "button",
        { type: "button", class: "tab", dataset: { view }, onclick: () => this.show(view) },
        element("span", {}, name),
      ),
    );
    this.waiting = element("span", { class: "badge", hidden: true });
    this.views[1].append(this.waiting);
    middle.append(element("div", { class: "tabs", role: "group", "aria-label": "What to do" }, ...this.views));
    this.undo = button({ icon: "undo", name: "Undo", key: "Z", run: () => this.reverse("undo") });
    this.redo = button({ icon: "redo", name: "Redo", key: "Shift+Z", run: () => this.reverse("redo") });
    right.prepend(this.undo, this.redo);
    this.annotator = new Annotator(this.project, settings, right);
    right.append(button({ icon: "help", name: "Help", key: "?", run: () => this.help.toggle() }));
  }

  #buildPanel() {
    const { panel } = this.#shell;
    this.card = new ObjectCard(this.project, this.annotating, this.labels, {
      propagate: () => this.propagation.begin(),
      next: () => this.navigation.nextWithout(),
      removeMask: () => this.pointer.removeMask(),
      reject: () => this.reject(),
      fresh: () => this.annotating.select(null),
    });
    this.cards = new JobCards(this.jobs, ["propagate", "propose"]);
    this.proposeButton = button({
      icon: "everything",
      name: "Find everything",
      text: true,
      class: "quiet propose",
      run: () => this.propose(),
    });
    this.proposeButton.title = "Automatic masklets of all that is there, as proposals to be verified";
    this.head.append(this.card.element, this.cards.element);
    const body = element("div", { class: "panel-body" });
    panel.append(this.head, body, element("footer", { class: "panel-foot" }, this.proposeButton));
    this.objects = new AnnotatedObjects(body, this.project, this.labels);
  }

  #buildBottom() {
    const { bottom } = this.#shell;
    this.playback = new Playback(this.player, this.#hello.fps, {
      play: () => this.player.toggle(),
      step: (by) => this.navigation.step(by),
      mark: (by) => this.navigation.mark(by),
      unsure: () => this.navigation.unsure(),
    });
    bottom.append(this.playback.element);
    this.timeline = new RecordingTimeline(bottom, this.project.span, this.#hello.fps);
    this.#showTicks();
  }

  #buildOver(shortcuts, settings) {
    this.verification = new Verification(this.project, shortcuts);
    this.outputs = new Outputs(this.project, this.jobs, settings, this.#hello.formats);
    this.#shell.over.append(this.verification.element, this.outputs.element);
  }

  #listen() {
    const { project, player, annotating, timeline, objects, phases, brush, verification, jobs, navigation, pointer } =
      this;
    project.on("objects", () => this.#showObjects());
    project.on("runs", () => this.#showRows());
    project.on("refused", (message, beside) => {
      if (!this.annotator.name)
        this.annotator.ask(); // who only looks has to say who they are before they change something
      else if (!beside) this.#notices.refuse(message);
    });
    project.on("busy", (busy) => document.body.classList.toggle("is-busy", busy));
    player.on("frame", () => {
      timeline.go(player.frame);
      if (brush.changed && brush.frame !== player.frame) brush.save();
      if (player.playing) this.time.touch();
      this.#sayWhoChanged();
      this.#showCard();
    });
    player.on("state", () => this.view.overlay());
    annotating.on("selection", (objectId) => {
      if (brush.changed && brush.objectId !== objectId) brush.save();
      this.#sayWhoChanged();
      objects.select(objectId);
      timeline.select(objectId);
      this.#showCard();
    });
    pointer.on("refused", (message) => this.#notices.refuse(message));
    project.masks.on("change", ([first, last]) => {
      if (first <= brush.frame && brush.frame <= last) brush.refresh();
      if (first > player.frame || player.frame > last) return;
      this.#sayWhoChanged();
      this.#showCard();
    });
    objects.on("select", (objectId) => navigation.select(objectId));
    objects.on("look", () => this.#showRows());
    timeline.on("go", (frame) => player.go(frame));
    timeline.on("select", (objectId) => annotating.select(objectId));
    brush.on("change", () => this.#showUndo());
    phases.on("change", () => {
      this.#showTicks();
      this.#showCard();
      if (phases.phase === 1) navigation.toAnnotated();
    });
    verification.on("count", (count) => {
      setText(this.waiting, String(count));
      this.waiting.hidden = count === 0;
    });
    verification.on("look", (objectId) => {
      this.show("annotate");
      navigation.select(objectId);
    });
    jobs.on("change", () => {
      this.#showCard();
      this.proposeButton.disabled = jobs.running("propose").length > 0;
    });
    jobs.on("end", (job) => {
      const shown = this.#view === "outputs" && (job.kind === "export" || job.kind === "fine-tune");
      if (job.state === "failed" && !shown) this.#notices.refuse(`${job.title}: ${sentence(job.message)}`);
      if (job.kind === "propagate" && job.state === "done") this.#notices.say(`${job.title}: ${sentence(job.message)}`);
    });
    // what is painted is not lost when the page is closed, or a tablet is put away
    window.addEventListener("pagehide", () => brush.save());
    document.addEventListener("visibilitychange", () => document.hidden && brush.save());
  }

  #showCard() {
    const annotated = this.phases.phase === 1 ? this.#hello.annotated_frames.length : null;
    this.card.show(this.player.frame, this.propagation.state, annotated);
  }

  /** Somebody else has changed the mask that is being looked at. */
  #sayWhoChanged() {
    const mask = this.annotating.mask;
    const key = `${this.annotating.selected} ${this.player.frame}`;
    const before = this.#lookedAt;
    const known = this.project.masks.ready(this.player.frame);
    this.#lookedAt = known ? { key, action: mask?.action_id ?? 0 } : null;
    if (before?.key !== key || !mask || mask.action_id === before.action) return;
    if (mask.author !== this.annotator.name) {
      this.#notices.say(`${this.project.label(mask.object_id)} was changed on this frame by ${mask.author}.`);
    }
  }

  #showTicks() {
    this.timeline.tick(this.phases.phase === 1 ? this.#hello.annotated_frames : []);
  }

  #showObjects() {
    this.#showUndo();
    document.body.classList.toggle("no-objects", this.project.objects.size === 0);
    this.#showCard();
    this.#showRows();
  }

  #showUndo() {
    this.undo.disabled = !this.project.canUndo && !this.brush.changed;
    this.redo.disabled = !this.project.canRedo && !this.brush.canRedo;
  }

  #showRows() {
    const rows = this.objects.order
      .filter(
        (objectId) => this.project.objects.get(objectId).state !== "rejected" || objectId === this.annotating.selected,
      )
      .map((objectId) => ({
        object_id: objectId,
        label: this.project.objects.get(objectId).label,
        colour: css(objectId),
        runs: this.project.runs.get(objectId) ?? [],
        dim: !this.objects.visible(objectId),
      }));
    this.timeline.show(rows);
    this.#showCard();
  }
}

/** Marks an element while it has the focus by the Tab key: after clicks, keys would show its focus all the time. */
function markTabbing(made) {
  let tabbed = false;
  window.addEventListener("keydown", (event) => (tabbed = event.key === "Tab"), true);
  made.addEventListener("focus", () => made.classList.toggle("by-tab", tabbed));
  made.addEventListener("pointerdown", () => made.classList.remove("by-tab"));
}

/** A style sheet, when it is there. */
function styled(name) {
  return new Promise((resolve) => {
    const href = `/page/recorded/style/${name}.css`;
    const link = element("link", { rel: "stylesheet", href, onload: resolve, onerror: resolve });
    document.head.append(link);
  });
}
