// The picture with the masks of its frame, and over it what is being pointed at or painted.

import { element, setText } from "../element.js";

export class PictureView {
  #stage;
  #parts;
  #height;
  #width;
  #shown = null;
  #cursor = null;
  #preview = null;
  #hovered = null;
  #refusal = null; // what is said beside #refused
  #refused = null;

  /** @param parts {project, player, pictures, annotating, objects, brush, candidates}. */
  constructor(stage, view, { height, width }, parts) {
    this.#stage = stage;
    this.#parts = parts;
    this.#height = height;
    this.#width = width;
    this.damage = element("div", { class: "damaged", role: "status", hidden: true });
    view.append(this.damage);
    const { project, player, annotating, objects, brush } = parts;
    player.on("frame", () => this.show());
    project.masks.on("change", ([first, last]) => {
      if (first <= player.frame && player.frame <= last) this.show();
    });
    project.on("objects", () => this.show());
    annotating.on("selection", () => this.show());
    annotating.on("pending", () => this.overlay());
    annotating.on("refused", (refused) => this.#refuse(refused));
    objects.on("look", () => this.show());
    objects.on("hover", (objectId) => {
      this.#hovered = objectId;
      this.show();
    });
    brush.on("change", () => this.show());
    stage.on("hover", (place) => this.point(place));
  }

  /** The frame whose picture is on the screen: that of the player, or the one before while its picture is on its way. */
  get frame() {
    return this.#shown;
  }

  /** Size of the image on the screen: all coordinates are its. */
  get size() {
    const mask = this.#parts.project.masks.at(this.#parts.player.frame)?.[0]?.mask;
    return mask ? { height: mask.height, width: mask.width } : { height: this.#height, width: this.#width };
  }

  /** Show a candidate instead of the mask that stands; null: no longer. */
  preview(mask) {
    this.#preview = mask;
    this.show();
  }

  point(place) {
    this.#cursor = place;
    if (this.#parts.brush.tool) this.overlay();
  }

  async show() {
    const { player, pictures, project } = this.#parts;
    const { frame } = player;
    const here = pictures.get(frame);
    if (here || pictures.damaged.has(frame)) return this.#draw(frame, here);
    const [picture] = await Promise.all([
      pictures.load(frame),
      player.playing ? null : project.masks.load(frame).catch(() => {}),
    ]);
    if (player.frame === frame && (picture || pictures.damaged.has(frame))) this.#draw(frame, picture);
  }

  #draw(frame, picture) {
    const { project, objects, annotating, pictures, brush, player } = this.#parts;
    const masks = project.masks.at(frame);
    if (masks === null || !player.playing) project.masks.load(frame).catch(() => {}); // told when they are here
    const reason = pictures.damaged.get(frame);
    this.damage.hidden = reason === undefined;
    if (reason !== undefined) setText(this.damage, `Frame ${frame} is damaged: ${reason}`);
    const { height, width } = this.size;
    const painting = brush.canvas && brush.frame === frame && !brush.conflict ? brush.objectId : undefined;
    const shown = (masks ?? [])
      .filter((mask) => objects.visible(mask.object_id) && mask.object_id !== painting)
      .map((mask) => {
        const chosen = mask.object_id === annotating.selected;
        const proposed = project.objects.get(mask.object_id)?.state === "proposed";
        const hovered = mask.object_id === this.#hovered;
        return {
          object_id: mask.object_id,
          label: project.objects.get(mask.object_id)?.label ?? "",
          mask: mask.present ? (chosen && this.#preview) || mask.mask : null,
          box: mask.present ? mask.box : null,
          chosen: chosen || hovered,
          dim: this.#hovered !== null && !hovered,
          dashed: proposed,
          outline: proposed && !chosen && !hovered ? true : undefined,
        };
      });
    this.#stage.show({ bitmap: picture ?? nothing(width, height), width, height, masks: shown, frame });
    if (picture && masks) objects.picture(picture, { width, height }, masks);
    if (this.#shown !== frame) {
      this.#shown = frame;
      window.desk.shown = { frame };
      this.#refuse(null);
    }
    this.overlay();
  }

  /** Clicks of this frame, those that wait, what is painted. */
  overlay() {
    const { player, annotating, brush } = this.#parts;
    const { frame } = player;
    if (this.#shown !== frame) return this.#stage.overlay(null); // its picture is on its way
    const mask = annotating.mask;
    const objectId = annotating.selected ?? 0;
    const points = player.playing
      ? []
      : (mask?.prompt?.clicks ?? []).map((click) => ({ ...click, object_id: objectId }));
    let box = player.playing || !mask?.prompt?.box ? null : { box: mask.prompt.box, object_id: objectId };
    for (const waiting of annotating.pending) {
      if (waiting.frame !== frame) continue;
      points.push(...waiting.clicks.map((click) => ({ ...click, pending: true, object_id: objectId })));
      if (waiting.box) box = { box: waiting.box, pending: true, object_id: objectId };
    }
    if (this.#refused?.frame === frame) points.push({ ...this.#refused, refused: true });
    const painted = brush.frame === frame ? brush.canvas : null;
    const at = this.#cursor?.at ?? this.#cursor;
    const cursor =
      (brush.tool === "brush" || brush.tool === "eraser") && at ? { x: at.x, y: at.y, radius: brush.radius } : null;
    this.#stage.overlay({ points, box, canvas: painted, opacity: 0.55, cursor });
  }

  #refuse(refused) {
    this.#refusal?.remove();
    this.#refusal = this.#refused = null;
    if (!refused || refused.frame !== this.#parts.player.frame) return this.overlay();
    this.#refused = { x: refused.x, y: refused.y, positive: refused.positive ?? true, frame: refused.frame };
    this.overlay();
    const made = element("div", { class: "anchored refusal", role: "alert" }, element("span", {}, refused.message));
    this.#refusal = made;
    this.#stage.anchor(made, refused.x, refused.y);
    setTimeout(() => this.#refusal === made && this.#refuse(null), 6000);
  }
}

const blanks = new Map();

/** What is shown instead of a damaged picture: a pattern of stripes. */
function nothing(width, height) {
  const key = `${width} ${height}`;
  if (!blanks.has(key)) {
    const canvas = new OffscreenCanvas(Math.max(1, Math.round(width / 2)), Math.max(1, Math.round(height / 2)));
    const context = canvas.getContext("2d");
    context.fillStyle = "#2a2d33";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.strokeStyle = "#34383f";
    context.lineWidth = 8;
    for (let x = -canvas.height; x < canvas.width; x += 28) {
      context.beginPath();
      context.moveTo(x, canvas.height);
      context.lineTo(x + canvas.height, 0);
      context.stroke();
    }
    blanks.set(key, canvas);
  }
  return blanks.get(key);
}
