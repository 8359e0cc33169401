// Under the picture: pause, the history that can still be prompted, and each object's last minutes.

import { Timeline } from "../timeline.js";
import { Transport } from "../transport.js";
import { Presence } from "./presence.js";

const SPAN = 120; // seconds of the timeline
const SHORTEST_SPAN = 20; // seconds, while less is known

export class Time {
  #viewer;
  #selection;
  #notices;
  #transport;
  #timeline;
  #presence = new Map(); // camera to what is known about its last minutes

  constructor(host, { viewer, selection, notices }) {
    this.#viewer = viewer;
    this.#selection = selection;
    this.#notices = notices;
    this.#transport = new Transport(host, { live: true });
    this.#timeline = new Timeline(host, {
      name: "Presence of the objects",
      format: (time) => this.#ago(time),
      step: 0.2,
      empty: "Here you will see when each object was in view.",
    });
    this.#transport.on("pause", () => viewer.freeze());
    this.#transport.on("play", () => viewer.goLive());
    this.#transport.on("live", () => viewer.goLive());
    this.#transport.on("step", (by) => viewer.step(by));
    this.#transport.on("seek", (index) => viewer.seek(viewer.history[index]));
    this.#timeline.on("jump", (time) => this.#jump(time));
    this.#timeline.on("choose", (objectId) => selection.choose(objectId));
  }

  /** Takes an event of type presence. */
  learn(event) {
    this.#presenceOf(event.camera).take(event);
    if (event.camera === this.#viewer.camera) this.show();
  }

  show() {
    const { camera, frozen, history, picture, newest } = this.#viewer;
    const presence = camera === null ? null : this.#presenceOf(camera);
    const now = newest ? presence.time(newest.header.stamp) : null;
    const cursor = picture ? presence.time(picture.header.stamp) : null;
    this.#transport.show({
      playing: !frozen,
      position: this.#viewer.position,
      length: history.length,
      text: frozen && now !== null ? this.#ago(cursor) : "",
      live: !frozen,
      enabled: picture !== null,
    });
    document.body.classList.toggle("is-frozen", frozen);
    if (now === null) {
      this.#timeline.show({ from: 0, to: SHORTEST_SPAN, cursor: null, reachable: null, chosen: null, rows: [] });
      return;
    }
    const tracked = new Set((newest.header.masklets ?? []).map(({ object_id: objectId }) => objectId));
    const rows = presence.rows(now - SPAN, tracked);
    const begun = Math.min(now, ...rows.map(({ samples }) => samples[0]?.[0] ?? now));
    this.#timeline.show({
      from: Math.max(now - SPAN, Math.min(begun, now - SHORTEST_SPAN)),
      to: now,
      cursor,
      reachable: history.length ? [presence.time(history[0]), now] : null,
      chosen: this.#selection.chosen,
      rows,
    });
  }

  #presenceOf(camera) {
    if (!this.#presence.has(camera)) this.#presence.set(camera, new Presence());
    return this.#presence.get(camera);
  }

  #jump(time) {
    const { camera, history } = this.#viewer;
    if (!history.length) return;
    const times = history.map((stamp) => this.#presenceOf(camera).time(stamp));
    if (time < times[0] - 0.5) {
      this.#notices.say("The node does not know that moment any more; this is the oldest that it does.");
    }
    const distances = times.map((each) => Math.abs(each - time));
    this.#viewer.seek(history[distances.indexOf(Math.min(...distances))]);
  }

  /** How long ago a time was, as text. */
  #ago(time) {
    const { camera, newest } = this.#viewer;
    if (!newest) return "";
    const seconds = this.#presenceOf(camera).time(newest.header.stamp) - time;
    if (seconds < 0.05) return "now";
    return seconds < 60 ? `−${seconds.toFixed(1)} s` : `−${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  }
}
