// What pointing at the picture does: prompts, what they may mean, everything; with hints before and answers after.

import { button } from "../button.js";
import { Candidates } from "../candidates.js";
import { css } from "../colours.js";
import { element } from "../element.js";
import { overlap } from "../run_lengths.js";
import { Everything } from "./everything.js";
import { intent } from "./intent.js";
import { Prompts } from "./prompts.js";

const ALIKE = 0.9; // IoU from which on two candidates are the same to an eye
const MARK_STAYS = 700; // milliseconds that an accepted click is seen
const REFUSAL_STAYS = 8000; // milliseconds

export class Prompting {
  #connection;
  #viewer;
  #stage;
  #selection;
  #notices;
  #labels;
  #nextLabel;
  #prompts;
  #candidates;
  #everything;
  #hint = element("div", { class: "hint anchored", hidden: true, "aria-hidden": "true" });
  #refusal = null; // {made: the bubble, point}
  #ambiguous = null; // {picture, camera, stamp, objectId, candidates}
  #marks = []; // accepted clicks {x, y, positive, object_id, until}
  #restarting = false;
  #hovered = null;

  /** @param {HTMLInputElement} options.nextLabel the label of new objects */
  constructor({ connection, viewer, stage, selection, notices, labels, tray, nextLabel }) {
    this.#connection = connection;
    this.#viewer = viewer;
    this.#stage = stage;
    this.#selection = selection;
    this.#notices = notices;
    this.#labels = labels;
    this.#nextLabel = nextLabel;
    this.#prompts = new Prompts(connection);
    this.#candidates = new Candidates(tray);
    this.#everything = new Everything(tray);
    stage.element.append(this.#hint);
    this.#listen();
  }

  /** IDs of objects with a prompt that has no answer yet. */
  get pendingIds() {
    return new Set(this.#here(this.#prompts.pending).map(({ prompt }) => prompt.object_id));
  }

  get restarting() {
    return this.#restarting;
  }

  /** The next click or box on the picture starts the chosen object anew. */
  set restarting(restarting) {
    this.#restarting = restarting;
    this.#showHint();
  }

  /** Leaves the innermost thing that is begun. Returns whether there was one. */
  abandon() {
    if (this.#stage.pointing.abandon()) return true;
    if (this.#refusal) {
      this.#closeRefusal();
      return true;
    }
    if (this.#candidates.open) {
      this.#candidates.close();
      return true;
    }
    if (this.#everything.open) {
      this.#leaveEverything();
      return true;
    }
    if (this.#restarting) {
      this.restarting = false;
      return true;
    }
    return false;
  }

  /** Ends what belongs to one camera, before another one is shown. */
  leave() {
    this.#stage.pointing.abandon();
    this.#closeRefusal();
    this.#closeCandidates();
    this.#everything.close();
    this.#marks = [];
    this.#restarting = false;
    this.#hovered = null;
    this.#draw();
  }

  focusCandidates() {
    this.#candidates.focus();
  }

  async undo() {
    this.#closeCandidates();
    try {
      this.#notices.say(await this.#prompts.undo(this.#viewer.camera));
    } catch (error) {
      this.#notices.refuse(error.message);
    }
  }

  async remove(objectId) {
    const { camera } = this.#viewer;
    this.#closeCandidates();
    try {
      await this.#connection.request("remove", { camera, object_id: objectId });
    } catch (error) {
      this.#notices.refuse(error.message);
      return;
    }
    this.#prompts.forget(camera, objectId);
    this.#viewer.removed(objectId);
  }

  /** Forgets all objects of the camera. */
  async removeAll() {
    const { camera } = this.#viewer;
    this.#closeCandidates();
    try {
      await this.#connection.request("reset", { camera });
    } catch (error) {
      this.#notices.refuse(error.message);
      return;
    }
    this.#prompts.forget(camera);
    for (const { object_id: objectId } of this.#viewer.masklets) this.#viewer.removed(objectId);
    this.#notices.say("All objects are removed.");
  }

  /** Gives an object another label. */
  async rename(objectId, label) {
    const { camera } = this.#viewer;
    if (!label || this.#viewer.masklets.find((each) => each.object_id === objectId)?.label === label) return;
    try {
      await this.#connection.request("prompt", { camera, stamp: "0", prompt: { object_id: objectId, label } });
      this.#viewer.renamed(objectId, label);
    } catch (error) {
      this.#notices.refuse(error.message);
    }
  }

  /** Finds everything in the picture on the stage. */
  async proposeEverything() {
    this.#closeCandidates();
    const picture = this.#viewer.picture;
    if (!picture) return;
    this.#viewer.freeze();
    const { camera, stamp } = picture.header;
    const end = this.#notices.keep("Looking for everything in this picture …");
    try {
      const { masklets, message } = await this.#connection.request("everything", { camera, stamp, track: false });
      if (this.#viewer.camera !== camera || this.#viewer.picture?.header.stamp !== stamp) return;
      const fresh = masklets.filter(({ object_id: objectId }) => !objectId);
      const highest = Math.max(0, ...this.#viewer.masklets.map(({ object_id: objectId }) => objectId));
      this.#everything.show(fresh, highest + 1);
      if (message && !fresh.length) this.#notices.say(message);
    } catch (error) {
      this.#notices.refuse(error.message);
    } finally {
      end();
    }
  }

  /** Draws what is pending, previewed or just accepted. */
  #draw() {
    const now = performance.now();
    const stamp = this.#viewer.picture?.header.stamp;
    this.#marks = this.#marks.filter(({ until }) => until > now);
    const points = [...this.#marks];
    if (this.#refusal) points.push(this.#refusal.point);
    if (this.#viewer.frozen && this.#selection.chosen) {
      const clicks = this.#prompts.clicksOn(this.#viewer.camera, stamp, this.#selection.chosen);
      points.push(...clicks.filter(({ x, y }) => !points.some((point) => point.x === x && point.y === y)));
    }
    let box = null;
    const pending = this.#here(this.#prompts.pending);
    this.#stage.element.setAttribute("aria-busy", String(pending.length > 0));
    for (const { prompt } of pending) {
      points.push(...prompt.clicks.map((click) => ({ ...click, pending: true, object_id: prompt.object_id })));
      if (prompt.box) box = { box: prompt.box, pending: true, object_id: prompt.object_id };
    }
    const preview = this.#everything.open ? this.#everything.preview : this.#candidatePreview();
    this.#stage.overlay({ points, box, preview });
  }

  #listen() {
    const stage = this.#stage;
    stage.on("click", (place) => this.#click(place));
    stage.on("box", (place) => this.#box(place));
    stage.on("hover", (place) => this.#hover(place));
    stage.on("draft", () => this.#showHint());
    this.#viewer.on("shown", () => {
      if (this.#hovered) this.#showHint();
    });
    this.#viewer.on("state", () => {
      if (!this.#viewer.frozen && this.#everything.open) this.#everything.close();
      this.#draw();
    });
    this.#selection.on("changed", () => {
      if (this.#ambiguous && this.#ambiguous.objectId !== this.#selection.chosen) this.#closeCandidates();
      this.#draw();
    });
    this.#prompts.on("changed", () => this.#draw());
    this.#prompts.on("accepted", ({ entry, answer }) => this.#accepted(entry, answer));
    this.#prompts.on("refused", ({ entry, message }) => this.#refused(entry, message));
    this.#candidates.on("hover", (index) => this.#hoverCandidate(index));
    this.#candidates.on("take", (index) => this.#takeCandidate(index));
    this.#candidates.on("close", () => this.#closeCandidates());
    this.#everything.on("changed", () => this.#draw());
    this.#everything.on("take", (proposal) => this.#takeProposal(proposal));
    this.#everything.on("all", () => this.#trackAll());
    this.#everything.on("close", () => this.#leaveEverything());
  }

  async #click(place) {
    if (this.#everything.open) {
      this.#everything.click(place);
      return;
    }
    const picture = this.#viewer.drawn?.keep();
    if (!picture) return;
    try {
      let { act, object_id: objectId } = this.#intent(place);
      if (act === "nothing") {
        await this.#prompts.settled(); // the object may be on its way
        ({ act, object_id: objectId } = this.#intent(place));
      }
      const { x, y, positive } = place;
      if (picture.header.camera !== this.#viewer.camera) return;
      if (act === "nothing") this.#refuse(place, "Choose an object first: “no” says what does not belong to it.");
      else if (act === "choose") this.#selection.choose(objectId);
      else {
        const fields = { object_id: objectId, clicks: [{ x, y, positive }], replace: act === "restart" };
        await this.#send(picture, fields, act !== "refine");
      }
    } finally {
      picture.release();
    }
  }

  async #box({ box }) {
    if (this.#everything.open) return;
    const replace = this.#restarting && this.#selection.chosen !== null;
    const picture = this.#viewer.drawn?.keep();
    if (!picture) return;
    await this.#send(picture, { object_id: replace ? this.#selection.chosen : 0, box, replace }, false);
    picture.release();
  }

  /** Sends a prompt on a picture, and asks what else it may mean. */
  async #send(picture, fields, ambiguous) {
    const { camera, stamp } = picture.header;
    this.#closeCandidates();
    this.#closeRefusal();
    this.#restarting = false;
    const label = fields.object_id ? "" : this.#nextLabel.value.trim();
    if (label) this.#labels.use(label);
    const prompt = { label, clicks: [], box: null, mask: null, ...fields };
    const others = ambiguous
      ? this.#connection.request("candidates", { camera, stamp, prompt: { ...prompt, object_id: 0 } }).catch(() => null)
      : null;
    const answer = await this.#prompts.send(camera, stamp, prompt, this.#selection.turn);
    const found = await others;
    if (!answer || !found || this.#viewer.camera !== camera) return;
    this.#offer(picture, prompt.clicks[0], answer, found.candidates);
  }

  #accepted({ camera, stamp, prompt, turn }, { object_id: objectId, masklet }) {
    if (camera !== this.#viewer.camera) return;
    const until = performance.now() + MARK_STAYS;
    this.#marks.push(...prompt.clicks.map((click) => ({ ...click, object_id: objectId, until })));
    setTimeout(() => this.#draw(), MARK_STAYS + 50);
    if (masklet) this.#viewer.answered(stamp, { ...masklet, object_id: objectId });
    this.#selection.follow(objectId, turn);
  }

  #refused({ camera, prompt }, message) {
    if (camera !== this.#viewer.camera) return;
    const [click] = prompt.clicks;
    if (click) this.#refuse(click, message);
    else if (prompt.box) this.#refuse({ x: prompt.box[0], y: prompt.box[1], positive: true }, message);
    else this.#notices.refuse(message);
  }

  /** Says why something cannot be done, beside where it was asked for. */
  #refuse({ x, y, positive }, message) {
    this.#closeRefusal();
    const made = element("div", { class: "refusal anchored", role: "alert" }, element("span", {}, message));
    if (!this.#viewer.known) {
      const run = () => {
        this.#closeRefusal();
        this.#viewer.seekKnown();
      };
      made.append(button({ name: "Go to a newer picture", text: true, run }));
    }
    made.append(button({ icon: "close", name: "Close", run: () => this.#closeRefusal() }));
    this.#refusal = { made, point: { x, y, positive, refused: true } };
    this.#stage.anchor(made, x, y);
    this.#hint.hidden = true;
    this.#draw();
    setTimeout(() => {
      if (this.#refusal?.made === made) this.#closeRefusal();
    }, REFUSAL_STAYS);
  }

  #closeRefusal() {
    if (!this.#refusal) return;
    this.#refusal.made.remove();
    this.#refusal = null;
    this.#draw();
  }

  /** Offers candidates that differ to an eye. */
  #offer(picture, clicked, { object_id: objectId, masklet }, candidates) {
    const { camera, stamp } = picture.header;
    const different = [];
    for (const candidate of candidates) {
      if (different.every(({ mask }) => overlap(mask, candidate.mask) < ALIKE)) different.push(candidate);
    }
    if (different.length < 2) return;
    const taken = masklet?.mask ? nearest(different, masklet.mask) : 0;
    this.#ambiguous = { picture: picture.keep(), camera, stamp, objectId, candidates: different, hovered: null };
    const { height, width } = picture.header;
    const place = this.#stage.toScreen(0, clicked.y).y - this.#stage.element.getBoundingClientRect().top;
    const above = place > 0.6 * this.#stage.element.clientHeight;
    this.#candidates.show({ bitmap: picture.bitmap, width, height }, objectId, different, taken, above);
  }

  #hoverCandidate(index) {
    if (!this.#ambiguous) return;
    this.#ambiguous.hovered = index;
    this.#viewer.spotlight = index === null ? null : -1; // dims all others
    this.#viewer.preview = index === null ? null : this.#ambiguous.picture;
    this.#draw();
  }

  #candidatePreview() {
    const { candidates, hovered = null, objectId } = this.#ambiguous ?? {};
    return hovered === null ? null : [{ mask: candidates[hovered].mask, object_id: objectId, chosen: true }];
  }

  async #takeCandidate(index) {
    const { camera, stamp, objectId, candidates } = this.#ambiguous;
    this.#closeCandidates();
    const fields = { object_id: objectId, mask: candidates[index].mask, replace: true };
    await this.#prompts.send(camera, stamp, fields, this.#selection.turn);
  }

  #closeCandidates() {
    if (this.#ambiguous) {
      this.#hoverCandidate(null);
      this.#ambiguous.picture.release();
      this.#ambiguous = null;
    }
    this.#candidates.close();
  }

  async #takeProposal({ mask }) {
    const { camera, stamp } = this.#viewer.picture.header;
    const fields = { mask, label: this.#nextLabel.value.trim() };
    await this.#prompts.send(camera, stamp, fields, this.#selection.turn);
  }

  async #trackAll() {
    const { camera, stamp } = this.#viewer.picture.header;
    this.#everything.close();
    this.#draw();
    try {
      const { masklets, message } = await this.#connection.request("everything", { camera, stamp, track: true });
      for (const masklet of masklets) if (masklet.object_id) this.#viewer.answered(stamp, masklet);
      if (message) this.#notices.say(message);
    } catch (error) {
      this.#notices.refuse(error.message);
    }
    this.#viewer.goLive();
  }

  #leaveEverything() {
    this.#everything.close();
    this.#draw();
    this.#viewer.goLive();
  }

  #hover(place) {
    this.#hovered = place;
    if (this.#everything.open) this.#everything.hover(place);
    this.#showHint();
  }

  /** Says beside the pointer what a click would do. */
  #showHint() {
    const place = this.#hovered;
    const busy = this.#everything.open || this.#refusal;
    this.#hint.hidden = !place || place.touch || busy || !this.#viewer.picture;
    if (this.#hint.hidden) return;
    const { act, object_id: objectId } = this.#intent(place);
    const name = this.#viewer.masklets.find((each) => each.object_id === objectId)?.label || `object ${objectId}`;
    const says = {
      new: "new object",
      refine: place.positive ? `add to ${name}` : `not ${name}`,
      restart: `${name}, anew`,
      choose: `choose ${name}`,
      nothing: "choose an object first",
    }[act];
    if (this.#hint.textContent !== says) this.#hint.textContent = says;
    this.#hint.dataset.act = place.positive ? act : "no";
    this.#hint.style.setProperty("--object", objectId ? css(objectId) : "#fff");
    const screen = this.#stage.toScreen(place.at?.x ?? place.x, place.at?.y ?? place.y);
    const frame = this.#stage.element.getBoundingClientRect();
    const left = Math.min(screen.x - frame.left + 16, frame.width - this.#hint.offsetWidth - 8);
    const top = Math.min(screen.y - frame.top + 18, frame.height - this.#hint.offsetHeight - 8);
    this.#hint.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
  }

  #intent(place) {
    const masklets = this.#viewer.masklets.filter(
      ({ object_id: objectId, present }) => present && !this.#selection.isHidden(objectId),
    );
    return intent(place, masklets, this.#selection.chosen, this.#restarting);
  }

  #here(entries) {
    return entries.filter(({ camera }) => camera === this.#viewer.camera);
  }
}

function nearest(candidates, mask) {
  const overlaps = candidates.map((candidate) => overlap(candidate.mask, mask));
  return overlaps.indexOf(Math.max(...overlaps));
}
