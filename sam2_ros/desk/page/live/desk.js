// The desk over the cameras of a robot.

import { button } from "../button.js";
import { element, setAttribute, setText } from "../element.js";
import { Help } from "../help.js";
import { setIcon } from "../icons.js";
import { Looks } from "../looks.js";
import { Objects } from "../objects.js";
import { Pictures } from "../pictures.js";
import { Timeline } from "../timeline.js";
import { Transport } from "../transport.js";
import { Cameras } from "./cameras.js";
import { Empty } from "./empty.js";
import { Glance } from "./glance.js";
import { Grid } from "./grid.js";
import { Presence } from "./presence.js";
import { Prompting } from "./prompting.js";
import { Rate } from "./rate.js";
import { Selection } from "./selection.js";
import { Tools } from "./tools.js";
import { Viewer } from "./viewer.js";

const SPAN = 120; // seconds of the timeline
const SHORTEST_SPAN = 20; // seconds, while less is known
const PICTURE_EVERY = 1000; // milliseconds between two small pictures of an object
const SIZES = [320, 480, 640, 960, 1280, 1920, 3840]; // widths of pictures to ask for
const SURE = 4000; // milliseconds in which a second press says that one is sure

const TOUCH = window.matchMedia("(pointer: coarse)").matches;

const GESTURES = [
  ["Click", "a thing: it is tracked. Near the chosen one: adds to it"],
  ["Right click, Shift", "what does not belong to it"],
  ["Drag", "a box around a new thing"],
  ["Alt + click", "always a new thing"],
  ["Ctrl + click", "always adds to the chosen one"],
  ["Tap, long press", "with a finger: yes, no"],
  ["Wheel, two fingers", "zoom"],
  ["Middle button, Space", "and dragging: move the picture"],
];

export function start(parts) {
  return new LiveDesk(parts);
}

class LiveDesk {
  #connection;
  #stage;
  #notices;
  #settings;
  #labels;
  #selection;
  #viewer;
  #prompting;
  #cameras;
  #grid;
  #glance;
  #empty;
  #objects;
  #timeline;
  #transport;
  #tools;
  #status;
  #pauseNode;

  #known = []; // cameras, as the server lists them
  #layout;
  #presence = new Map(); // camera to what is known about its last minutes
  #rate = new Rate();
  #watched = "";
  #greeting = true; // cameras are not known yet
  #nodePaused = new Set();
  #nextPictures = 0;
  #removing = 0;

  constructor({ connection, shell, stage, notices, settings, labels, shortcuts }) {
    this.#connection = connection;
    this.#stage = stage;
    this.#notices = notices;
    this.#settings = settings;
    this.#labels = labels;
    this.#layout = settings.get("layout", "single");
    this.#selection = new Selection(settings);
    this.#viewer = new Viewer(connection, stage, this.#selection);
    this.#build(shell, shortcuts);
    this.#listen();
    this.#addShortcuts(shortcuts);
    setInterval(() => this.#tick(), 500);
    document.body.dataset.mode = "live";
  }

  /** Asks for what is shown: the first time, and after the line was lost. */
  greeted() {
    this.#watched = "";
    this.#watch();
  }

  #build(shell, shortcuts) {
    const help = new Help(shortcuts, GESTURES);
    this.#cameras = new Cameras(shell.top.middle);
    const looks = new Looks(shell.top.right, this.#settings, shortcuts);
    looks.apply(this.#stage);
    shell.top.right.append(button({ icon: "help", name: "Help", key: "?", run: () => help.toggle() }));
    this.#tools = new Tools(shell.rail);
    this.#status = { state: element("b", {}), numbers: element("span", { class: "numbers" }) };
    const dot = element("span", { class: "dot", "aria-hidden": "true" });
    this.#status.made = element("div", { class: "status" }, dot, this.#status.state, this.#status.numbers);
    shell.corner.append(this.#status.made);
    this.#grid = new Grid(shell.view, looks);
    this.#empty = new Empty(shell.over);
    const nextLabel = this.#buildPanel(shell.panel, looks);
    this.#transport = new Transport(shell.bottom, { live: true });
    this.#timeline = new Timeline(shell.bottom, {
      name: "Presence of the objects",
      format: (time) => this.#ago(time),
      step: 0.2,
      empty: "Here you will see when each object was in view.",
    });
    this.#prompting = new Prompting({
      connection: this.#connection,
      viewer: this.#viewer,
      stage: this.#stage,
      selection: this.#selection,
      notices: this.#notices,
      labels: this.#labels,
      tray: shell.tray,
      nextLabel,
    });
  }

  #buildPanel(panel, looks) {
    const startNew = () => {
      this.#selection.choose(null);
      this.#stage.element.focus();
      this.#notices.say("Point at the new thing, or draw a box around it.");
    };
    const nextLabel = this.#labels.field({ placeholder: "Label for new things", name: "Label for new objects", done: () => {} });
    const host = element("div", { class: "panel-body" });
    this.#objects = new Objects(host, {
      labels: this.#labels,
      empty: `${TOUCH ? "Tap" : "Click"} a thing in the picture to track it, or draw a box around it.`,
      details: () =>
        element("p", { class: "quiet-text" }, TOUCH ? "Tap to add; a long press says: not this." : "Click to add; right or Shift says: not this."),
    });
    this.#pauseNode = button({ icon: "pause", name: "Pause node", text: true, class: "quiet", run: () => this.#toggleNode() });
    const removeAll = button({ icon: "trash", name: "Remove all", text: true, class: "quiet", run: () => this.#removeAll(removeAll) });
    panel.append(
      element(
        "header",
        { class: "panel-head" },
        element("h2", {}, "Objects"),
        button({ icon: "add", name: "New", key: "A", text: true, class: "quiet", run: startNew }),
      ),
      element("div", { class: "next-label" }, nextLabel),
      host,
    );
    this.#glance = new Glance(panel, looks);
    panel.append(element("footer", { class: "panel-foot" }, this.#pauseNode, removeAll));
    this.startNew = startNew;
    return nextLabel;
  }

  #listen() {
    const pictures = new Pictures(this.#connection);
    pictures.on("picture", (picture) => this.#receive(picture));
    this.#connection.on("cameras", ({ cameras }) => this.#learn(cameras));
    this.#connection.on("history", ({ camera, stamps }) => {
      if (camera !== this.#viewer.camera) return;
      this.#viewer.history = stamps;
      this.#showTime();
    });
    this.#connection.on("presence", (event) => this.#learnPresence(event));
    this.#connection.on("lost", () => this.#rate.clear());

    this.#viewer.on("shown", (picture, isNew) => this.#shown(picture, isNew));
    this.#viewer.on("newest", () => this.#showGlance());
    this.#viewer.on("state", () => {
      this.#showGlance();
      this.#showTime();
    });
    this.#glance.on("live", () => this.#viewer.goLive());
    this.#viewer.on("refused", (message) => this.#notices.refuse(message));
    this.#selection.on("changed", () => {
      this.#viewer.refresh();
      this.#showObjects();
      this.#showTime();
      if (this.#selection.chosen !== null) this.#objects.reveal();
    });

    this.#cameras.on("choose", (name) => this.#choose(name));
    this.#cameras.on("layout", (layout) => this.#arrange(layout));
    this.#grid.on("choose", (name) => this.#choose(name));

    this.#objects.on("choose", (objectId) => this.#selection.choose(objectId));
    this.#objects.on("hover", (objectId) => (this.#viewer.spotlight = objectId));
    this.#objects.on("hide", (objectId) => this.#selection.toggleHidden(objectId));
    this.#objects.on("solo", (objectId) => this.#selection.toggleSolo(objectId));
    this.#objects.on("remove", (objectId) => this.#prompting.remove(objectId));
    this.#objects.on("label", (objectId, label) => this.#prompting.rename(objectId, label));
    this.#objects.on("restart", (objectId) => this.#restart(objectId));

    this.#transport.on("pause", () => this.#viewer.freeze());
    this.#transport.on("play", () => this.#viewer.goLive());
    this.#transport.on("live", () => this.#viewer.goLive());
    this.#transport.on("step", (by) => this.#viewer.step(by));
    this.#transport.on("seek", (index) => this.#viewer.seek(this.#viewer.history[index]));
    this.#timeline.on("jump", (time) => this.#jump(time));
    this.#timeline.on("choose", (objectId) => this.#selection.choose(objectId));

    this.#tools.on("tool", (tool) => this.#take(tool));
    this.#tools.on("undo", () => this.#prompting.undo());
    this.#tools.on("everything", () => this.#prompting.proposeEverything());
    this.#tools.on("zoom", (factor) => this.#stage.zoom(factor));
    this.#tools.on("fit", () => this.#stage.fit());
    let resized = 0;
    new ResizeObserver(() => {
      clearTimeout(resized);
      resized = setTimeout(() => this.#watch(), 300);
    }).observe(this.#stage.element);
  }

  #addShortcuts(shortcuts) {
    const chosen = () => this.#selection.chosen !== null && this.#layout === "single";
    const single = () => this.#layout === "single" && this.#viewer.camera !== null;
    const onChosen = (run) => () => run(this.#selection.chosen);
    shortcuts.register([
      { keys: ["p"], says: "a click is yes", group: "Pointing", when: single, run: () => this.#take("yes") },
      { keys: ["n"], says: "a click is no", group: "Pointing", when: single, run: () => this.#take("no") },
      { keys: ["b"], says: "box, also with the keyboard's crosshair", group: "Pointing", when: single, run: () => this.#take("box") },
      { keys: ["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight"], says: "on the picture: crosshair; Enter clicks", group: "Pointing", when: () => false, run: () => {} },
      { keys: ["z"], says: "undo the last prompt", group: "Pointing", when: single, run: () => this.#prompting.undo() },
      { keys: ["c"], says: "candidates: arrows, Enter takes", group: "Pointing", when: single, run: () => this.#prompting.focusCandidates() },
      { keys: ["e"], says: "find everything", group: "Pointing", when: single, run: () => this.#prompting.proposeEverything() },
      { keys: ["Escape"], says: "leave what is begun, choose nothing", group: "Pointing", run: () => this.#escape() },
      { keys: ["1-9"], says: "choose the object of that ID", group: "Objects", when: single, run: ({ key }) => this.#chooseNumber(Number(key)) },
      { keys: ["a"], says: "a new object", group: "Objects", when: single, run: () => this.startNew() },
      { keys: ["l"], says: "its label", group: "Objects", when: chosen, run: () => this.#objects.editLabel() },
      { keys: ["r"], says: "start it again with the next click", group: "Objects", when: chosen, run: onChosen((id) => this.#restart(id)) },
      { keys: ["h"], says: "hide it", group: "Objects", when: chosen, run: onChosen((id) => this.#selection.toggleHidden(id)) },
      { keys: ["s"], says: "show only it", group: "Objects", when: chosen, run: onChosen((id) => this.#selection.toggleSolo(id)) },
      { keys: ["Delete", "Backspace"], says: "remove it", group: "Objects", when: chosen, run: onChosen((id) => this.#prompting.remove(id)) },
      { keys: [" "], says: "pause the picture, go on live", group: "Time", when: single, run: (event) => this.#space(event) },
      { keys: [","], says: "one frame back", group: "Time", when: single, run: () => this.#viewer.step(-1) },
      { keys: ["."], says: "one frame on", group: "Time", when: single, run: () => this.#viewer.step(1) },
      { keys: ["End"], says: "live", group: "Time", when: single, run: () => this.#viewer.goLive() },
      { keys: ["+", "="], says: "zoom in", group: "Picture", when: single, run: () => this.#stage.zoom(1.4) },
      { keys: ["-"], says: "zoom out", group: "Picture", when: single, run: () => this.#stage.zoom(1 / 1.4) },
      { keys: ["0"], says: "whole picture", group: "Picture", when: single, run: () => this.#stage.fit() },
      { keys: ["g"], says: "all cameras, or one", group: "Cameras", when: () => this.#known.length > 1, run: () => this.#arrange(this.#layout === "grid" ? "single" : "grid") },
      { keys: ["["], says: "the camera before", group: "Cameras", when: () => this.#known.length > 1, run: () => this.#turn(-1) },
      { keys: ["]"], says: "the next camera", group: "Cameras", when: () => this.#known.length > 1, run: () => this.#turn(1) },
    ]);
  }

  // Cameras

  #learn(cameras) {
    this.#known = cameras;
    this.#greeting = false;
    const names = cameras.map(({ name }) => name);
    const { camera } = this.#viewer;
    if (names.length && (camera === null || !names.includes(camera))) {
      const remembered = this.#settings.get("camera");
      this.#open(names.includes(remembered) ? remembered : names[0]);
    } else if (!names.length && camera !== null) this.#open(null);
    if (names.length < 2 && this.#layout === "grid") this.#layout = "single";
    this.#showCameras();
    this.#watch();
  }

  #choose(name) {
    this.#settings.set("camera", name);
    this.#layout = "single";
    this.#settings.set("layout", "single");
    this.#open(name);
    this.#showCameras();
    this.#watch();
    this.#stage.element.focus();
  }

  #turn(by) {
    const names = this.#known.map(({ name }) => name);
    this.#choose(names[(names.indexOf(this.#viewer.camera) + by + names.length) % names.length]);
  }

  #open(name) {
    if (name === this.#viewer.camera) return;
    this.#prompting.leave();
    this.#selection.camera = name;
    this.#viewer.watch(name);
    this.#rate.clear();
    if (name !== null && !this.#presence.has(name)) this.#presence.set(name, new Presence());
    this.#showObjects();
    this.#showTime();
  }

  #arrange(layout) {
    this.#prompting.leave();
    this.#viewer.goLive();
    this.#layout = layout;
    this.#settings.set("layout", layout);
    this.#rate.clear();
    this.#showCameras();
    this.#watch();
  }

  #showCameras() {
    const grid = this.#layout === "grid";
    this.#cameras.show(this.#known, this.#viewer.camera, this.#layout);
    this.#empty.open = this.#known.length === 0 && !this.#greeting;
    this.#grid.open = grid;
    if (grid) this.#grid.show(this.#known);
    document.body.classList.toggle("is-grid", grid);
    document.body.classList.toggle("is-empty", this.#known.length === 0);
  }

  /** Tells the server which pictures are looked at, if that has changed. */
  #watch() {
    const grid = this.#layout === "grid";
    const cameras = grid ? this.#known.map(({ name }) => name) : [this.#viewer.camera].filter(Boolean);
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const columns = grid ? Math.ceil(Math.sqrt(cameras.length)) : 1;
    const width = (this.#stage.element.clientWidth || window.innerWidth) * (ratio / columns);
    const maxWidth = SIZES.find((size) => size >= width) ?? SIZES.at(-1);
    const watched = JSON.stringify({ cameras, max_width: maxWidth });
    if (watched === this.#watched || !this.#connection.connected) return;
    this.#watched = watched;
    this.#connection.request("watch", { cameras, max_width: maxWidth }).catch((error) => this.#notices.refuse(error.message));
  }

  // Pictures

  #receive(picture) {
    const { key, camera } = picture.header;
    if (key === "history") {
      this.#viewer.receiveOld(picture);
    } else if (this.#layout === "grid") {
      this.#drawTile(picture);
    } else if (camera === this.#viewer.camera) {
      this.#viewer.receive(picture);
    } else {
      this.#connection.shown(key);
      picture.release();
    }
  }

  #drawTile(picture) {
    const { key, camera, height, width, masklets } = picture.header;
    const done = () => {
      this.#connection.shown(key);
      this.#tilePictures.get(camera)?.release();
      this.#tilePictures.set(camera, picture);
    };
    const masks = (masklets ?? []).map((masklet) => ({ ...masklet, mask: masklet.present ? masklet.mask : null }));
    if (!this.#grid.draw(camera, { bitmap: picture.bitmap, width, height, masks, done })) {
      this.#connection.shown(key);
      picture.release();
    }
  }
  #tilePictures = new Map();

  /** A picture is on the screen. */
  #shown(picture, isNew) {
    const { camera, stamp, masklets, published_ms: published } = picture.header;
    window.desk.shown = {
      camera,
      stamp,
      masks: this.#stage.frame.masks.filter(({ mask }) => mask).length,
      published_ms: published ?? null,
      at_ms: Date.now(),
      draw_ms: this.#stage.drawMilliseconds,
    };
    if (isNew && picture.header.key !== "history") {
      const age = masklets && published ? this.#connection.since(published) : null;
      this.#rate.add(age);
    }
    this.#showObjects();
    if (isNew && this.#viewer.frozen) this.#showTime();
  }

  #showGlance() {
    const { frozen, newest } = this.#viewer;
    if (!frozen || !newest) {
      this.#glance.show(null);
      return;
    }
    const { width, height } = newest.header;
    const masks = this.#viewer.looks(newest).map((mask) => ({ ...mask, chosen: false, dim: false }));
    this.#glance.show({ bitmap: newest.bitmap, width, height, masks });
  }

  // Objects

  #showObjects() {
    if (this.#layout !== "single") return;
    const masklets = this.#viewer.masklets;
    const picture = this.#viewer.picture;
    const pending = this.#prompting?.pendingIds ?? new Set();
    if (picture?.header.masklets && !this.#viewer.frozen) {
      this.#selection.keepOnly(new Set([...masklets.map(({ object_id: objectId }) => objectId), ...pending]));
    }
    const rows = masklets.map((masklet) => ({
      ...masklet,
      pending: pending.has(masklet.object_id),
      hidden: this.#selection.isPutAway(masklet.object_id),
      solo: this.#selection.solo === masklet.object_id,
    }));
    this.#objects.show(rows, this.#selection.chosen);
    const due = performance.now() >= this.#nextPictures;
    if (due) this.#nextPictures = performance.now() + PICTURE_EVERY;
    for (const { object_id: objectId, present, box } of picture ? masklets : []) {
      if (present && (due || !this.#objects.hasPicture(objectId))) {
        this.#objects.picture(objectId, picture.bitmap, picture.header, box);
      }
    }
    this.#labels.use(...masklets.map(({ label }) => label).filter((label) => label && !this.#labels.used.includes(label)));
  }

  #chooseNumber(objectId) {
    if (this.#viewer.masklets.some((masklet) => masklet.object_id === objectId)) {
      this.#selection.choose(objectId);
    } else this.#notices.say(`There is no object ${objectId}.`);
  }

  #restart(objectId) {
    this.#selection.choose(objectId);
    this.#prompting.restarting = true;
    this.#notices.say(`Point at object ${objectId}, or draw a box around it: it begins anew.`);
    this.#stage.element.focus();
  }

  #removeAll(made) {
    if (performance.now() > this.#removing) {
      this.#removing = performance.now() + SURE;
      setText(made.querySelector("span"), "Really all?");
      setTimeout(() => setText(made.querySelector("span"), "Remove all"), SURE);
      return;
    }
    this.#removing = 0;
    setText(made.querySelector("span"), "Remove all");
    this.#prompting.removeAll();
  }

  async #toggleNode() {
    const { camera } = this.#viewer;
    if (camera === null) return;
    const paused = this.#nodePaused.has(camera);
    try {
      await this.#connection.request(paused ? "resume" : "pause", { camera });
      if (paused) this.#nodePaused.delete(camera);
      else this.#nodePaused.add(camera);
      this.#notices.say(paused ? "The node tracks again." : "The node is paused; pictures go on without masks.");
    } catch (error) {
      this.#notices.refuse(error.message);
    }
    this.#showNode();
  }

  #showNode() {
    const paused = this.#nodePaused.has(this.#viewer.camera);
    setText(this.#pauseNode.querySelector("span"), paused ? "Resume node" : "Pause node");
    setIcon(this.#pauseNode, paused ? "play" : "pause");
  }

  // Pointing

  #take(tool) {
    this.#tools.show(tool);
    this.#stage.pointing.polarity = tool !== "no";
    this.#stage.pointing.boxing = tool === "box";
  }

  #escape() {
    if (!this.#prompting.abandon()) this.#selection.choose(null);
  }

  #space(event) {
    if (event.repeat) return;
    const released = () => {
      if (this.#stage.pointing.spaceUsed) return; // it moved the picture
      if (this.#viewer.frozen) this.#viewer.goLive();
      else this.#viewer.freeze();
    };
    window.addEventListener("keyup", released, { once: true, capture: true });
  }

  // Time

  #learnPresence(event) {
    if (!this.#presence.has(event.camera)) this.#presence.set(event.camera, new Presence());
    this.#presence.get(event.camera).take(event);
    if (event.camera === this.#viewer.camera) this.#showTime();
  }

  #jump(time) {
    const { history } = this.#viewer;
    const presence = this.#presence.get(this.#viewer.camera);
    if (!history.length || !presence) return;
    const times = history.map((stamp) => presence.time(stamp));
    if (time < times[0] - 0.5) {
      this.#notices.say("The node does not know that moment any more; this is the oldest that it does.");
    }
    const distances = times.map((each) => Math.abs(each - time));
    this.#viewer.seek(history[distances.indexOf(Math.min(...distances))]);
  }

  #showTime() {
    const { frozen, history, picture, newest } = this.#viewer;
    const presence = this.#presence.get(this.#viewer.camera);
    const now = presence && newest ? presence.time(newest.header.stamp) : null;
    const cursor = presence && picture ? presence.time(picture.header.stamp) : null;
    this.#transport.show({
      playing: !frozen,
      position: this.#viewer.position,
      length: history.length,
      text: !frozen || now === null ? "" : this.#ago(cursor),
      live: !frozen,
      enabled: picture !== null,
    });
    document.body.classList.toggle("is-frozen", frozen);
    if (!presence || now === null) {
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

  /** How long ago a time was, as text. */
  #ago(time) {
    const presence = this.#presence.get(this.#viewer.camera);
    const newest = this.#viewer.newest;
    if (!presence || !newest) return "";
    const seconds = presence.time(newest.header.stamp) - time;
    if (seconds < 0.05) return "now";
    return seconds < 60 ? `−${seconds.toFixed(1)} s` : `−${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  }

  // The corner

  #tick() {
    const camera = this.#known.find(({ name }) => name === this.#viewer.camera);
    const { frozen, picture, newest } = this.#viewer;
    const silent = newest !== null && newest.header.masklets === null;
    const { rate, age } = this.#rate;
    let state = "live";
    if (!this.#connection.connected) state = "lost";
    else if (frozen) state = this.#viewer.known ? "paused" : "gone";
    else if (camera && !camera.online) state = "offline";
    else if (silent) state = "silent";
    const words = {
      live: "Live",
      lost: "No connection",
      paused: "Paused",
      gone: "Paused: too old for the node to be prompted on",
      offline: camera?.problem || "The camera is silent",
      silent: this.#nodePaused.has(this.#viewer.camera) ? "Node paused: pictures only" : camera?.problem || "Node silent: pictures only",
    };
    setText(this.#status.state, words[state]);
    setAttribute(this.#status.made, "data-state", state);
    const numbers = state === "live" && picture ? [`${rate.toFixed(rate < 9.5 ? 1 : 0)}/s`, age === null ? null : `${Math.round(age)} ms`] : [];
    setText(this.#status.numbers, numbers.filter(Boolean).join(" · "));
    const node = camera?.latency_ms ? `; the node takes ${Math.round(camera.latency_ms)} ms` : "";
    setAttribute(this.#status.made, "title", `Pictures on this screen a second; from the node's message to the screen${node}`);
    this.#status.made.hidden = this.#viewer.camera === null || this.#layout === "grid";
    this.#showNode();
    if (frozen) this.#showTime();
  }
}
