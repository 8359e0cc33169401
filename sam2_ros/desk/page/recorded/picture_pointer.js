// What the hand does on the picture, with the tool that is chosen: clicks, boxes, strokes, candidates.

import { Candidates } from "../candidates.js";
import { Emitter } from "../emitter.js";
import { Hint } from "./hint.js";
import { intent } from "./intent.js";

const PAINTING = ["brush", "eraser", "outline"];

/** Emits "refused" (message): it cannot be done here. */
export class PicturePointer extends Emitter {
  #stage;
  #parts;
  #hint;
  #offered = null; // candidates that are shown
  #hovered = null;

  /** "yes", "no", "box", "brush", "eraser" or "outline". */
  tool = "yes";

  /** @param parts {project, player, pictures, annotating, objects, brush, tools, view}. */
  constructor(stage, tray, parts) {
    super();
    this.#stage = stage;
    this.#parts = parts;
    this.#hint = new Hint(stage);
    this.candidates = new Candidates(tray);
    stage.pointing.onDemand = true;
    stage.on("click", (place) => this.#click(place));
    stage.on("box", ({ box }) => this.#box(box));
    stage.on("stroke", (stroke) => this.#stroke(stroke));
    stage.on("hover", (place) => {
      this.#hovered = place;
      this.#showHint();
    });
    this.#listen();
    this.choose("yes");
  }

  choose(tool) {
    const { brush, tools } = this.#parts;
    const painting = PAINTING.includes(tool);
    if (brush.changed && !painting) brush.save();
    this.tool = tool;
    this.#stage.mode = painting ? "brush" : "point";
    this.#stage.pointing.boxing = tool === "box";
    this.#stage.pointing.polarity = tool !== "no";
    this.#stage.element.dataset.tool = tool;
    brush.choose(painting ? tool : null);
    tools.show(tool);
    this.#showHint();
  }

  /** Point with the keyboard. */
  showCrosshair() {
    const { height, width } = this.#parts.view.size;
    this.#stage.element.focus();
    this.#stage.crosshair = { x: Math.floor(width / 2), y: Math.floor(height / 2) };
  }

  /** Leave what is begun on the picture. Returns whether there was something. */
  abandon() {
    if (this.#stage.pointing.abandon()) return true;
    if (this.#stage.crosshair) this.#stage.crosshair = null;
    else if (this.candidates.open) this.candidates.close();
    else return false;
    return true;
  }

  #listen() {
    const { annotating, player, project, tools, brush, view } = this.#parts;
    tools.on("tool", (tool) => this.choose(tool));
    tools.on("absent", () => this.absent());
    tools.on("save", () => brush.save());
    tools.on("discard", () => brush.discard());
    tools.on("zoom", (factor) => this.#stage.zoom(factor));
    tools.on("fit", () => this.#stage.fit());
    annotating.on("candidates", (offered) => this.#offer(offered));
    annotating.on("selection", () => this.candidates.close());
    annotating.on("selection", () => this.#showHint());
    annotating.on("refused", () => this.#hint.show(null)); // that is said in its place
    project.masks.on("change", () => this.#showHint());
    player.on("frame", () => {
      if (this.#offered && this.#offered.frame !== player.frame) this.candidates.close();
    });
    this.candidates.on("hover", (index) => view.preview(index === null ? null : this.#offered.candidates[index].mask));
    this.candidates.on("take", (index) => {
      const offered = this.#offered;
      this.candidates.close();
      annotating.take(offered, index);
    });
    this.candidates.on("close", () => {
      view.preview(null);
      this.#offered = null;
    });
  }

  /** The selected object is not visible on this frame. */
  absent() {
    const { annotating, view } = this.#parts;
    if (annotating.selected === null) return this.emit("refused", "Select an object first.");
    this.#stay();
    const { height, width } = view.size;
    annotating.absent(height, width);
  }

  /** Forget the selected object's mask on this frame. */
  removeMask() {
    this.#stay();
    this.#parts.annotating.removeMask();
  }

  async #click(place) {
    const { player, annotating, project } = this.#parts;
    if (player.playing) return player.pause();
    this.#stay();
    if (this.#isDamaged()) return;
    const { frame } = player;
    if (!project.masks.ready(frame)) await project.masks.load(frame).catch(() => {}); // there may be an object there
    if (player.frame !== frame) return;
    this.candidates.close();
    const { act, object_id: objectId } = this.#intent(place);
    if (act === "choose") return annotating.select(objectId);
    if (act === "nothing") {
      const message = place.positive
        ? "There is no object here."
        : "Select an object first: this says what does not belong to it.";
      return annotating.emit("refused", { frame: player.frame, ...place, message });
    }
    if (act === "new") annotating.select(null);
    annotating.click(place.x, place.y, place.positive);
  }

  #box(box) {
    this.#parts.player.pause();
    this.#stay();
    if (this.#isDamaged()) return;
    this.candidates.close();
    this.#parts.annotating.box(box);
    if (this.tool === "box") this.choose("yes");
  }

  #stroke(stroke) {
    const { player, annotating, brush, project, view } = this.#parts;
    player.pause();
    this.#stay();
    if (this.#isDamaged()) return;
    const { mask } = annotating;
    brush.stroke(stroke, {
      objectId: annotating.selected,
      nextId: Math.max(0, ...project.objects.keys()) + 1,
      frame: player.frame,
      seen: project.seen(player.frame),
      ...view.size,
      mask: mask?.present ? mask.mask : null,
    });
  }

  #intent(place) {
    const { project, player, objects, annotating } = this.#parts;
    const visible = (project.masks.at(player.frame) ?? []).filter((mask) => objects.visible(mask.object_id));
    return intent(place, visible, annotating.selected);
  }

  #showHint() {
    const { player, pictures, brush, project } = this.#parts;
    const place = this.#hovered;
    const idle = !place || player.playing || brush.tool || pictures.damaged.has(player.frame);
    if (idle) return this.#hint.show(null);
    const { act, object_id: objectId } = this.#intent(place);
    const name = objectId === null ? "" : project.label(objectId);
    const refine = place.positive ? `add to ${name}` : `not ${name}`;
    const says = { new: "new object", refine, choose: `select ${name}`, nothing: "select an object first" }[act];
    this.#hint.show(place, { act, says, object_id: objectId, positive: place.positive || act === "choose" });
  }

  /** What is pointed at is on the screen: if the picture of another frame is on its way, this one stays. */
  #stay() {
    const { player, view } = this.#parts;
    if (view.frame !== null && view.frame !== player.frame) player.go(view.frame);
  }

  #isDamaged() {
    const { pictures, player } = this.#parts;
    if (!pictures.damaged.has(player.frame)) return false;
    this.emit("refused", "This frame is damaged: annotate another one.");
    return true;
  }

  #offer(offered) {
    const { pictures, player, annotating, view } = this.#parts;
    const picture = pictures.get(offered.frame);
    if (offered.frame !== player.frame || offered.object_id !== annotating.selected || !picture) return;
    this.#offered = offered;
    this.candidates.show({ bitmap: picture, ...view.size }, offered.object_id, offered.candidates, 0);
  }
}
