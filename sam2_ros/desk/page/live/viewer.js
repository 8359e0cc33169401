// The picture of one camera on the stage: the newest, one that stands still, or one of the history.

import { Emitter } from "../emitter.js";

const ANSWER_STAYS = 1500; // milliseconds that an answer is shown until its object comes with the pictures
const CORRECTIONS_KEPT = 400;

/**
 * Emits "newest" (picture) when one comes, "shown" (picture, whether it is new) when one is on the screen, "state" when
 * it stands or goes on, and "refused" (message).
 */
export class Viewer extends Emitter {
  #connection;
  #stage;
  #selection;
  #newest = null;
  #frozen = null;
  #preview = null;
  #wanted = null; // stamp that is sought
  #seeking = false;
  #sought = null; // stamp of the picture that was asked for last and is not here yet: further steps go on from there
  #corrections = new Map(); // "stamp id" to the masklet with which a prompt was answered
  #answers = new Map(); // object ID to {masklet, until}: not in the pictures yet
  #removed = new Map(); // object ID to the time until which pictures with it are behind
  #dimOthers = null;
  #acknowledged = new WeakSet(); // pictures for which the server may have sent another one
  #last = null; // on the stage, drawn or about to be
  #drawn = null; // on the screen

  camera = null;
  history = []; // stamps, ascending

  constructor(connection, stage, selection) {
    super();
    this.#connection = connection;
    this.#stage = stage;
    this.#selection = selection;
    stage.on("drawn", (frame) => {
      if (!frame?.picture) return;
      if (frame.picture !== this.#drawn) {
        this.#drawn?.release();
        this.#drawn = frame.picture.keep();
      }
      this.emit("shown", frame.picture, this.#acknowledge(frame.picture));
    });
  }

  /** Goes over to another camera, or to none. */
  watch(camera) {
    const before = [this.#frozen, this.#newest, this.#drawn];
    this.#frozen = this.#newest = this.#drawn = this.#wanted = this.#sought = null;
    this.history = [];
    this.#corrections.clear();
    this.#answers.clear();
    this.#removed.clear();
    this.camera = camera;
    this.#last = null;
    this.#stage.show(null);
    this.emit("state");
    for (const picture of before) picture?.release();
  }

  /** Takes a picture of this camera. */
  receive(picture) {
    const before = this.#newest;
    this.#newest = picture;
    this.emit("newest", picture);
    before?.release();
    if (this.#frozen || this.#preview) this.#acknowledge(picture);
    else this.#show(picture);
  }

  /** Takes a picture of the history. */
  receiveOld(picture) {
    if (!this.frozen || picture.header.camera !== this.camera) {
      this.#acknowledge(picture);
      picture.release();
      return;
    }
    if (picture.header.stamp === this.#sought) this.#sought = null;
    this.#stand(picture);
  }

  get frozen() {
    return this.#frozen !== null;
  }

  /** The picture on the stage; null: none yet. */
  get picture() {
    return this.#preview ?? this.#frozen ?? this.#newest;
  }

  /** The picture that a person sees and points at: the one on the stage, or for a moment still the one before it. */
  get drawn() {
    return this.#drawn;
  }

  get newest() {
    return this.#newest;
  }

  /** Whether the node still knows the picture on the stage. */
  get known() {
    const stamp = this.picture?.header.stamp;
    return !this.frozen || this.history.length === 0 || !isBefore(stamp, this.history[0]);
  }

  /** Stops at the picture that is on the stage. */
  freeze() {
    if (!this.#frozen && this.#newest) this.#stand(this.#newest.keep());
  }

  goLive() {
    this.#wanted = this.#sought = null;
    if (!this.#frozen) return;
    this.#frozen.release();
    this.#frozen = null;
    if (this.#newest) this.#show(this.#newest);
    this.emit("state");
  }

  /** Stops at the picture of a stamp of the history. Of many wishes in a row the last one counts. */
  async seek(stamp) {
    this.freeze();
    this.#wanted = this.#sought = stamp;
    if (this.#seeking) return;
    this.#seeking = true;
    while (this.#wanted !== null) {
      const wanted = this.#wanted;
      this.#wanted = null;
      try {
        await this.#connection.request("frame_at", { camera: this.camera, stamp: wanted });
      } catch (error) {
        this.#sought = null;
        this.emit("refused", error.message);
      }
    }
    this.#seeking = false;
  }

  /** Goes by frames of the history. */
  step(by) {
    if (!this.picture || this.history.length === 0) return;
    const place = Math.min(Math.max(this.position + by, 0), this.history.length - 1);
    this.seek(this.history[place]);
  }

  /** Where the picture on the stage, or the one that is sought, is in the history: an index. */
  get position() {
    const stamp = this.#sought ?? this.picture?.header.stamp;
    if (stamp === undefined || !this.frozen) return Math.max(this.history.length - 1, 0);
    const after = this.history.findIndex((known) => !isBefore(known, stamp));
    return after < 0 ? Math.max(this.history.length - 1, 0) : after;
  }

  /** Shows a kept picture instead, to look at something on it; null ends that. */
  set preview(picture) {
    if (picture === this.#preview) return;
    this.#preview?.release();
    this.#preview = picture?.keep() ?? null;
    if (this.picture) this.#show(this.picture);
  }

  /** Lets one object stand out. */
  set spotlight(objectId) {
    if (objectId === this.#dimOthers) return;
    this.#dimOthers = objectId;
    this.refresh();
  }

  /** Shows an answer on its picture at once, and on live ones until the object comes with them. */
  answered(stamp, masklet) {
    this.#corrections.set(`${stamp} ${masklet.object_id}`, masklet);
    if (this.#corrections.size > CORRECTIONS_KEPT) this.#corrections.delete(this.#corrections.keys().next().value);
    this.#answers.set(masklet.object_id, { masklet, until: performance.now() + ANSWER_STAYS });
    this.#removed.delete(masklet.object_id);
    this.refresh();
  }

  /** Takes an object off the picture before the node's next message does. */
  removed(objectId) {
    this.#answers.delete(objectId);
    for (const key of [...this.#corrections.keys()]) if (key.endsWith(` ${objectId}`)) this.#corrections.delete(key);
    this.#removed.set(objectId, performance.now() + ANSWER_STAYS);
    this.refresh();
  }

  /** Gives an object its new label on a picture that stands still, too. */
  renamed(objectId, label) {
    const pictures = [this.#frozen, this.#newest].flatMap((picture) => picture?.header.masklets ?? []);
    const answers = [...this.#answers.values()].map(({ masklet }) => masklet);
    for (const masklet of [...pictures, ...answers, ...this.#corrections.values()]) {
      if (masklet.object_id === objectId) masklet.label = label;
    }
    this.refresh();
  }

  /** Draws the picture again after something about its masks has changed. */
  refresh() {
    if (this.picture) this.#show(this.picture);
  }

  /**
   * What is tracked on the picture on the stage, answers included: masklets, of which `awaited` ones are not in it yet.
   */
  get masklets() {
    return this.picture ? this.#maskletsOf(this.picture) : [];
  }

  #stand(picture) {
    this.#frozen?.release();
    this.#frozen = picture;
    this.#show(picture);
    this.emit("state");
  }

  #show(picture) {
    if (this.#last && this.#last !== picture) this.#acknowledge(this.#last); // another one came before it was drawn
    this.#last = picture;
    const { height, width } = picture.header;
    this.#stage.show({ bitmap: picture.bitmap, width, height, masks: this.looks(picture), picture });
  }

  /** Goes to a picture that the node will still know for a while. */
  seekKnown() {
    if (this.history.length) this.seek(this.history[Math.floor(this.history.length / 2)]);
  }

  /** Masks as the stage draws them. */
  looks(picture) {
    const { chosen } = this.#selection;
    return this.#maskletsOf(picture)
      .filter(({ object_id: objectId }) => !this.#selection.isHidden(objectId))
      .map((masklet) => ({
        ...masklet,
        mask: masklet.present ? masklet.mask : null,
        chosen: masklet.object_id === chosen,
        dim: this.#dimOthers !== null && masklet.object_id !== this.#dimOthers,
        dashed: masklet.awaited,
      }));
  }

  #maskletsOf({ header: { stamp, masklets } }) {
    const now = performance.now();
    const shown = new Map();
    for (const masklet of masklets ?? []) {
      const { object_id: objectId } = masklet;
      if ((this.#removed.get(objectId) ?? 0) > now) continue;
      shown.set(objectId, this.#corrections.get(`${stamp} ${objectId}`) ?? masklet);
    }
    for (const [objectId, { masklet, until }] of this.#answers) {
      if (shown.has(objectId) || until < now) {
        if (!this.frozen) this.#answers.delete(objectId);
      } else if (!this.frozen) shown.set(objectId, { ...masklet, awaited: true });
    }
    for (const [key, masklet] of this.#corrections) {
      if (key.startsWith(`${stamp} `) && !shown.has(masklet.object_id)) shown.set(masklet.object_id, masklet);
    }
    return [...shown.values()].sort((one, other) => one.object_id - other.object_id);
  }

  /** Whether this is the first time for this picture. */
  #acknowledge(picture) {
    if (this.#acknowledged.has(picture)) return false;
    this.#acknowledged.add(picture);
    this.#connection.shown(picture.header.key);
    return true;
  }
}

/** Whether one stamp lies before another one. */
function isBefore(one, other) {
  return one.length === other.length ? one < other : BigInt(one) < BigInt(other);
}
