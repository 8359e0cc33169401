// The page over a recording: its parts, and how they work together.

import { button } from "../button.js";
import { Candidates } from "../candidates.js";
import { css } from "../colours.js";
import { element, setAttribute, setText } from "../element.js";
import { Help } from "../help.js";
import { Looks } from "../looks.js";
import { AnnotatedObjects } from "./annotated_objects.js";
import { Annotating } from "./annotating.js";
import { Annotator } from "./annotator.js";
import { Brush } from "./brush.js";
import { Hint } from "./hint.js";
import { intent } from "./intent.js";
import { JobCards, Jobs } from "./jobs.js";
import { ModelState } from "./model_state.js";
import { ObjectCard } from "./object_card.js";
import { Outputs } from "./outputs.js";
import { Phases } from "./phases.js";
import { Pictures } from "./pictures.js";
import { PictureView } from "./picture_view.js";
import { Playback } from "./playback.js";
import { Player } from "./player.js";
import { Project, sentence } from "./project.js";
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

const PAINTING = ["brush", "eraser", "outline"];
const VIEWS = { annotate: "Annotate", verify: "Verify", outputs: "Outputs" };

/** Fill the page. Returns {greeted(hello)}, which is called after every connection. */
export async function start({ connection, hello, stage, shell, shortcuts, notices, settings, labels }) {
  await styled("/page/recorded/recorded.css");
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
  #tool = "yes";
  #view = "annotate";
  #candidates = null;
  #hovered = null;
  #lookedAt = null; // {key, action}: the mask of the selected object on the screen, and what made it
  #unsure = null; // frame to which somebody was led last, because the model is unsure there

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
    this.candidates = new Candidates(shell.tray);
    this.view = new PictureView(stage, shell.view, hello, this);
    this.tools = new Tools(shell.rail, shell.tray, this.brush);
    this.hint = new Hint(stage);
    stage.pointing.onDemand = true;
    markTabbing(stage.element);
    this.#listen();
    this.#registerKeys(shortcuts);
    this.choose("yes");
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
    this.project.ask("labels").then(({ labels }) => this.labels.use(...labels.reverse()), () => {});
    await this.annotator.greet(hello.annotator);
    this.verification.refresh();
  }

  // ---- what people do

  choose(tool) {
    const painting = PAINTING.includes(tool);
    if (this.brush.changed && !painting) this.brush.save();
    this.#tool = tool;
    this.#stage.mode = painting ? "brush" : "point";
    this.#stage.pointing.boxing = tool === "box";
    this.#stage.pointing.polarity = tool !== "no";
    this.#stage.element.dataset.tool = tool;
    this.brush.choose(painting ? tool : null);
    this.tools.show(tool);
  }

  select(objectId) {
    if (this.brush.changed && this.brush.objectId !== objectId) this.brush.save();
    this.annotating.select(objectId);
  }

  fresh() {
    this.select(null);
    this.candidates.close();
  }

  absent() {
    if (this.annotating.selected === null) return this.#notices.say("Select an object first.");
    const { height, width } = this.view.size;
    this.annotating.absent(height, width);
  }

  /** A step of the player: in phase 1 to the next frame that is annotated. */
  step(by) {
    const frames = this.#hello.annotated_frames;
    if (this.phases.phase !== 1) return this.player.step(by);
    const { frame } = this.player;
    const next = by > 0 ? frames.find((other) => other > frame) : frames.findLast((other) => other < frame);
    if (next !== undefined) this.player.go(next);
  }

  /** To the next frame on which somebody has made the selected object's mask, or that of any object. */
  mark(by) {
    const selected = this.annotating.selected;
    const ids = selected === null ? [...this.project.objects.keys()] : [selected];
    const frames = [...new Set(ids.flatMap((objectId) => this.timeline.marks(objectId)))].sort((a, b) => a - b);
    const { frame } = this.player;
    const next = by > 0 ? frames.find((other) => other > frame) : frames.findLast((other) => other < frame);
    this.player.go(next ?? (by > 0 ? this.player.last : this.player.first));
  }

  /** In phase 1: to the next annotated frame without a mask of the selected object. */
  nextWithout() {
    const selected = this.annotating.selected;
    const known = new Set();
    for (const [first, last] of this.project.runs.get(selected) ?? []) {
      for (let frame = first; frame <= last; frame++) known.add(frame);
    }
    const frames = this.#hello.annotated_frames.filter((frame) => !known.has(frame));
    const next = frames.find((frame) => frame > this.player.frame) ?? frames[0];
    if (next === undefined) this.#notices.say("Every annotated frame has a mask of this object.");
    else this.player.go(next);
  }

  async unsure() {
    try {
      const place = await this.project.ask("unsure", { object_id: this.annotating.selected, after: this.#unsureAfter() });
      if (place.frame === null) return this.#notices.say("There is nothing left that the model is unsure of.");
      this.#unsure = place.frame;
      this.player.go(place.frame);
      this.select(place.object_id);
      this.#notices.say(`${this.project.label(place.object_id)}, frame ${place.frame}: predicted IoU ${place.iou.toFixed(2)}`);
    } catch (error) {
      this.#notices.refuse(sentence(error.message));
    }
  }

  /** Where it looked last, if somebody still is there. */
  #unsureAfter() {
    return this.#unsure === this.player.frame ? this.#unsure : null;
  }

  async propagate() {
    const { possible, from, why } = this.#propagation();
    if (!possible) return this.#notices.say(why);
    if (this.brush.changed) await this.brush.save();
    const fields = { object_id: this.annotating.selected, frame: from, phase: this.phases.phase, seconds: this.time.take() };
    try {
      await this.project.ask("propagate", fields);
    } catch (error) {
      this.#notices.refuse(sentence(error.message));
    }
  }

  async reverse(type) {
    if (type === "undo" && this.brush.changed) return this.brush.undo();
    if (type === "redo" && this.brush.canRedo) return this.brush.redo();
    const answer = await this.project.change(type, {});
    if (!answer) return;
    this.#notices.say(`${type === "undo" ? "Undone" : "Done again"}: ${answer.what}`);
    if (answer.frame !== null && answer.frame !== undefined) this.player.go(answer.frame);
    if (this.project.objects.has(answer.object_id)) this.select(answer.object_id);
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

  // ---- how the parts hang together

  #buildTop(settings, connection) {
    const { left, middle, right } = this.#shell.top;
    this.model = new ModelState(connection);
    left.querySelector(".brand")?.remove();
    left.append(element("h1", { class: "recording-name", title: this.#hello.project }, this.#hello.name), this.model.element);
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
      propagate: () => this.propagate(),
      next: () => this.nextWithout(),
      removeMask: () => this.annotating.removeMask(),
      reject: () => this.reject(),
      fresh: () => this.fresh(),
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
      step: (by) => this.step(by),
      mark: (by) => this.mark(by),
      unsure: () => this.unsure(),
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
    const { project, player, annotating, timeline, objects, phases, brush, verification, jobs } = this;
    project.on("objects", () => this.#showObjects());
    project.on("runs", () => this.#showRows());
    project.on("refused", (message) => {
      if (this.annotator.name) this.#notices.refuse(message);
      else this.annotator.ask(); // who only looks has to say who they are before they change something
    });
    project.on("busy", (busy) => document.body.classList.toggle("is-busy", busy));
    player.on("frame", () => {
      timeline.go(player.frame);
      if (brush.changed && brush.frame !== player.frame) brush.save();
      if (this.#candidates && this.#candidates.frame !== player.frame) this.candidates.close();
      if (player.playing) this.time.touch();
      this.#sayWhoChanged();
      this.#showCard();
    });
    player.on("state", () => this.view.overlay());
    annotating.on("selection", (objectId) => {
      this.#sayWhoChanged();
      objects.select(objectId);
      timeline.select(objectId);
      this.candidates.close();
      this.#showCard();
    });
    annotating.on("candidates", (offered) => this.#offer(offered));
    project.masks.on("change", ([first, last]) => {
      if (first <= brush.frame && brush.frame <= last) brush.refresh();
      if (first > player.frame || player.frame > last) return;
      this.#sayWhoChanged();
      this.#showCard();
    });
    objects.on("select", (objectId) => this.#selectAndGo(objectId));
    objects.on("look", () => this.#showRows());
    timeline.on("go", (frame) => player.go(frame));
    timeline.on("select", (objectId) => this.select(objectId));
    brush.on("change", () => this.#showUndo());
    phases.on("change", () => {
      this.#showTicks();
      this.#showCard();
      if (phases.phase === 1) this.#toAnnotatedFrame();
    });
    verification.on("count", (count) => {
      setText(this.waiting, String(count));
      this.waiting.hidden = count === 0;
    });
    verification.on("look", (objectId) => {
      this.show("annotate");
      this.#selectAndGo(objectId);
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
    this.#listenToStage();
  }

  #listenToStage() {
    const stage = this.#stage;
    stage.on("click", (place) => {
      if (this.player.playing) return this.player.pause();
      if (this.#isDamaged()) return;
      this.candidates.close();
      this.#click(place);
    });
    stage.on("box", ({ box }) => {
      this.player.pause();
      if (this.#isDamaged()) return;
      this.candidates.close();
      this.annotating.box(box);
      if (this.#tool === "box") this.choose("yes");
    });
    stage.on("hover", (place) => {
      this.#hovered = place;
      this.#showHint();
    });
    this.tools.on("tool", (tool) => this.choose(tool));
    this.tools.on("absent", () => this.absent());
    this.tools.on("save", () => this.brush.save());
    this.tools.on("discard", () => this.brush.discard());
    this.tools.on("zoom", (factor) => stage.zoom(factor));
    this.tools.on("fit", () => stage.fit());
    stage.on("stroke", (stroke) => {
      if (this.player.playing) this.player.pause();
      if (this.#isDamaged()) return;
      const mask = this.annotating.mask;
      this.brush.stroke(stroke, {
        objectId: this.annotating.selected,
        nextId: Math.max(0, ...this.project.objects.keys()) + 1,
        frame: this.player.frame,
        seen: this.project.seen(this.player.frame),
        ...this.view.size,
        mask: mask?.present ? mask.mask : null,
      });
    });
    this.candidates.on("hover", (index) => {
      this.view.preview(index === null ? null : this.#candidates.candidates[index].mask);
    });
    this.candidates.on("take", async (index) => {
      const offered = this.#candidates;
      this.view.preview(null);
      this.candidates.close();
      await this.annotating.take(offered, index);
    });
    this.candidates.on("close", () => {
      this.view.preview(null);
      this.#candidates = null;
    });
  }

  #registerKeys(shortcuts) {
    const annotating = () => this.#view === "annotate";
    const selected = () => annotating() && this.annotating.selected !== null;
    const painting = () => annotating() && this.brush.changed;
    const brushing = () => annotating() && this.brush.tool !== null;
    const key = (group) => (keys, says, run, when = annotating) => ({ keys, says, group, when, run });
    const [time, point, paint, object, picture] = ["Time", "Tools", "Painting", "Object", "Picture"].map(key);
    const page = (keys, says, run) => ({ keys, says, group: "Page", run });
    const hasMask = () => selected() && this.annotating.mask !== null;
    const inPhase1 = () => selected() && this.phases.phase === 1;
    const other = (view) => this.show(this.#view === view ? "annotate" : view);
    shortcuts.register([
      time([" "], "play, pause", (event) => this.#space(event)),
      time(["Shift+ArrowLeft", "Shift+ArrowRight"], "to the frame that somebody annotated", ({ key }) =>
        this.mark(key === "ArrowLeft" ? -1 : 1),
      ),
      time(["ArrowLeft", "ArrowRight"], "a frame back, on", ({ key }) => this.step(key === "ArrowLeft" ? -1 : 1)),
      time([",", "."], "", ({ key }) => this.step(key === "," ? -1 : 1)),
      time(["Home", "End"], "the first, the last frame", ({ key }) => this.player.go(key === "Home" ? this.player.first : this.player.last)),
      time(["<", ">"], "slower, faster", ({ key }) => this.player.faster(key === "<" ? -1 : 1)),
      time(["u"], "where the model is least sure", () => this.unsure()),
      point(["p"], "a click is yes", () => this.choose("yes")),
      point(["n"], "a click is no", () => this.choose("no")),
      point(["b"], "box", () => this.choose("box")),
      point(["k"], "crosshair: arrow keys move it, Enter clicks", () => this.#showCrosshair()),
      point(["c"], "candidates: arrows, Enter takes", () => this.candidates.focus(), () => this.candidates.open),
      paint(["d"], "brush", () => this.choose("brush")),
      paint(["g"], "outline: what it encircles is filled", () => this.choose("outline")),
      paint(["e"], "eraser", () => this.choose("eraser")),
      paint(["[", "]"], "smaller, larger", ({ key }) => this.brush.resize(key === "[" ? 1 / 1.25 : 1.25), brushing),
      paint(["Enter"], "save what is painted", () => this.brush.save(), painting),
      object(["a"], "a new object", () => this.fresh()),
      object(["1-9"], "select the object of that ID", ({ key }) => this.#selectNumber(Number(key))),
      object(["ArrowUp", "ArrowDown"], "the object above, below", ({ key }) => this.#selectBeside(key === "ArrowUp" ? -1 : 1)),
      object(["l"], "its label", () => this.card.focusLabel()),
      object(["r"], "propagate it", () => this.propagate(), selected),
      object(["v"], "it is not visible on this frame", () => this.absent(), selected),
      object(["Enter"], "phase 1: the next frame without its mask", () => this.nextWithout(), inPhase1),
      object(["Delete"], "remove its mask on this frame", () => this.annotating.removeMask(), hasMask),
      object(["Backspace"], "", () => this.annotating.removeMask(), hasMask),
      object(["h"], "hide it", () => this.objects.hide(this.annotating.selected), selected),
      object(["s"], "show only it", () => this.objects.only(this.annotating.selected), selected),
      picture(["+", "-"], "zoom in, out", ({ key }) => this.#stage.zoom(key === "+" ? 1.4 : 1 / 1.4)),
      picture(["="], "", () => this.#stage.zoom(1.4)),
      picture(["0"], "whole picture", () => this.#stage.fit()),
      page(["z"], "undo your last stroke, or action", () => this.reverse("undo")),
      page(["Shift+z"], "redo", () => this.reverse("redo")),
      page(["Ctrl+z"], "", () => this.reverse("undo")),
      page(["Ctrl+Shift+z", "Ctrl+y"], "", () => this.reverse("redo")),
      page(["w"], "verify, and back", () => other("verify")),
      page(["x"], "outputs, and back", () => other("outputs")),
      page(["Escape"], "leave what is begun; select nothing", () => this.#escape()),
    ]);
  }

  #click(place) {
    const { act, object_id: objectId } = this.#intent(place);
    if (act === "choose") return this.select(objectId);
    if (act === "nothing") {
      const message = place.positive ? "There is no object here." : "Select an object first: this says what does not belong to it.";
      return this.annotating.emit("refused", { frame: this.player.frame, ...place, message });
    }
    if (act === "new") this.select(null);
    this.annotating.click(place.x, place.y, place.positive);
  }

  #intent(place) {
    const masks = this.project.masks.at(this.player.frame) ?? [];
    const visible = masks.filter(({ object_id: objectId }) => this.objects.visible(objectId));
    return intent(place, visible, this.annotating.selected);
  }

  #showHint() {
    const place = this.#hovered;
    const idle = !place || this.player.playing || this.brush.tool || this.pictures.damaged.has(this.player.frame);
    if (idle) return this.hint.show(null);
    const { act, object_id: objectId } = this.#intent(place);
    const name = objectId === null ? "" : this.project.label(objectId);
    const refine = place.positive ? `add to ${name}` : `not ${name}`;
    const says = { new: "new object", refine, choose: `select ${name}`, nothing: "select an object first" }[act];
    this.hint.show(place, { act, says, object_id: objectId, positive: place.positive || act === "choose" });
  }

  /** Space plays when it is let go, unless it was held to move the picture. */
  #space(event) {
    if (event.repeat) return;
    const { pointing } = this.#stage;
    const up = (released) => {
      if (released.key !== " ") return;
      window.removeEventListener("keyup", up, true);
      if (!pointing.spaceUsed) this.player.toggle();
    };
    window.addEventListener("keyup", up, true);
  }

  #escape() {
    if (this.#stage.pointing.abandon()) return;
    if (this.#stage.crosshair) this.#stage.crosshair = null;
    else if (this.candidates.open) this.candidates.close();
    else if (this.#view !== "annotate") this.show("annotate");
    else if (this.brush.changed) this.brush.discard();
    else if (this.#tool !== "yes") this.choose("yes");
    else this.fresh();
  }

  #showCrosshair() {
    const { height, width } = this.view.size;
    this.#stage.element.focus();
    this.#stage.crosshair = { x: Math.floor(width / 2), y: Math.floor(height / 2) };
  }

  #isDamaged() {
    if (!this.pictures.damaged.has(this.player.frame)) return false;
    this.#notices.refuse("This frame is damaged: annotate another one.");
    return true;
  }

  #selectNumber(number) {
    if (this.project.objects.has(number)) this.#selectAndGo(number);
  }

  #selectBeside(by) {
    const { order } = this.objects;
    if (!order.length) return;
    const at = order.indexOf(this.annotating.selected);
    this.#selectAndGo(order[at < 0 ? (by > 0 ? 0 : order.length - 1) : (at + by + order.length) % order.length]);
  }

  /** Select an object; to a frame on which it is visible, if it is not on the one on the screen. */
  #selectAndGo(objectId) {
    this.select(objectId);
    if (objectId === null) return;
    const runs = (this.project.runs.get(objectId) ?? []).filter((run) => run[3]);
    const { frame } = this.player;
    if (!runs.length || runs.some(([first, last]) => first <= frame && frame <= last)) return;
    const distance = ([first, last]) => (frame < first ? first - frame : frame - last);
    const [first, last] = runs.reduce((best, run) => (distance(run) < distance(best) ? run : best));
    this.player.go(frame < first ? first : last);
  }

  #toAnnotatedFrame() {
    const { frame } = this.player;
    const frames = this.#hello.annotated_frames;
    if (frames.includes(frame)) return;
    this.player.go(frames.reduce((best, other) => (Math.abs(other - frame) < Math.abs(best - frame) ? other : best)));
  }

  #offer(offered) {
    const picture = this.pictures.get(offered.frame);
    if (offered.frame !== this.player.frame || offered.object_id !== this.annotating.selected || !picture) return;
    this.#candidates = offered;
    this.candidates.show({ bitmap: picture, ...this.view.size }, offered.object_id, offered.candidates, 0);
  }

  /** From which frame the selected object can be propagated, and whether. */
  #propagation() {
    const selected = this.annotating.selected;
    if (selected === null) return { possible: false, why: "Select an object first." };
    if (this.phases.phase === 1) {
      return { possible: false, why: "Phase 1 makes every mask on its own frame; propagate in phase 2 or 3." };
    }
    if (this.jobs.running("propagate").some((job) => job.object_id === selected)) {
      return { possible: false, why: "It is being propagated." };
    }
    const marks = this.timeline.marks(selected);
    if (!marks.length) return { possible: false, why: "Point at it first: a mask by hand is propagated, both ways." };
    const { frame } = this.player;
    const from = marks.reduce((best, other) => (Math.abs(other - frame) < Math.abs(best - frame) ? other : best));
    return { possible: true, from, why: `From frame ${from} to both ends; masks by hand stay (R)` };
  }

  #showCard() {
    const annotated = this.phases.phase === 1 ? this.#hello.annotated_frames.length : null;
    this.card.show(this.player.frame, this.#propagation(), annotated);
  }

  /** Somebody else has changed the mask that is being looked at. */
  #sayWhoChanged() {
    const mask = this.annotating.mask;
    const key = `${this.annotating.selected} ${this.player.frame}`;
    const before = this.#lookedAt;
    this.#lookedAt = { key, action: mask?.action_id ?? 0 };
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
      .filter((objectId) => this.project.objects.get(objectId).state !== "rejected" || objectId === this.annotating.selected)
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

/** Marks an element while it has the focus by the Tab key: after clicks, shortcuts would show its focus all the time. */
function markTabbing(made) {
  let tabbed = false;
  window.addEventListener("keydown", (event) => (tabbed = event.key === "Tab"), true);
  made.addEventListener("focus", () => made.classList.toggle("by-tab", tabbed));
  made.addEventListener("pointerdown", () => made.classList.remove("by-tab"));
}

/** A style sheet, when it is there. */
function styled(address) {
  return new Promise((resolve) => {
    const link = element("link", { rel: "stylesheet", href: address, onload: resolve, onerror: resolve });
    document.head.append(link);
  });
}
