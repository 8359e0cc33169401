// The desk over the cameras of a robot.

import { button } from "../button.js";
import { Help } from "../help.js";
import { Looks } from "../looks.js";
import { Pictures } from "../pictures.js";
import { Cameras } from "./cameras.js";
import { Corner } from "./corner.js";
import { Empty } from "./empty.js";
import { Grid } from "./grid.js";
import { keys } from "./keys.js";
import { Panel } from "./panel.js";
import { Prompting } from "./prompting.js";
import { Rate } from "./rate.js";
import { Selection } from "./selection.js";
import { Time } from "./time.js";
import { Tools } from "./tools.js";
import { Viewer } from "./viewer.js";

const SIZES = [320, 480, 640, 960, 1280, 1920, 3840]; // widths of pictures to ask for

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
  #selection;
  #viewer;
  #prompting;
  #cameras;
  #grid;
  #empty;
  #panel;
  #time;
  #tools;
  #corner;

  #known = []; // cameras, as the server lists them
  #layout;
  #rate = new Rate();
  #watched = "";
  #greeting = true; // cameras are not known yet
  #nodePaused = new Set();
  #tilePictures = new Map(); // camera to the picture on its tile

  constructor({ connection, shell, stage, notices, settings, labels, shortcuts }) {
    this.#connection = connection;
    this.#stage = stage;
    this.#notices = notices;
    this.#settings = settings;
    this.#layout = settings.get("layout", "single");
    this.#selection = new Selection(settings);
    this.#viewer = new Viewer(connection, stage, this.#selection);
    this.#build(shell, shortcuts, labels);
    this.#listen();
    shortcuts.register(keys(this.#actions()));
    setInterval(() => this.#tick(), 500);
    document.body.dataset.mode = "live";
  }

  /** Asks for what is shown: the first time, and after the line was lost. */
  greeted() {
    this.#watched = "";
    this.#watch();
  }

  #build(shell, shortcuts, labels) {
    const help = new Help(shortcuts, GESTURES);
    this.#cameras = new Cameras(shell.top.middle);
    const looks = new Looks(shell.top.right, this.#settings, shortcuts);
    looks.apply(this.#stage);
    shell.top.right.append(button({ icon: "help", name: "Help", key: "?", run: () => help.toggle() }));
    this.#tools = new Tools(shell.rail);
    this.#corner = new Corner(shell.corner);
    this.#grid = new Grid(shell.view, looks);
    this.#empty = new Empty(shell.over);
    const shared = { viewer: this.#viewer, selection: this.#selection, notices: this.#notices, labels, looks };
    this.#panel = new Panel(shell.panel, shared);
    this.#time = new Time(shell.bottom, shared);
    this.#prompting = new Prompting({
      ...shared,
      connection: this.#connection,
      stage: this.#stage,
      tray: shell.tray,
      nextLabel: this.#panel.nextLabel,
    });
  }

  #listen() {
    const connection = this.#connection;
    new Pictures(connection).on("picture", (picture) => this.#receive(picture));
    connection.on("cameras", ({ cameras }) => this.#learn(cameras));
    connection.on("history", ({ camera, stamps }) => {
      if (camera !== this.#viewer.camera) return;
      this.#viewer.history = stamps;
      this.#time.show();
    });
    connection.on("presence", (event) => this.#time.learn(event));
    connection.on("lost", () => this.#rate.clear());

    this.#viewer.on("shown", (picture, isNew) => this.#shown(picture, isNew));
    this.#viewer.on("newest", () => this.#panel.showGlance());
    this.#viewer.on("state", () => {
      this.#panel.showGlance();
      this.#time.show();
    });
    this.#viewer.on("refused", (message) => this.#notices.refuse(message));
    this.#selection.on("changed", () => {
      this.#viewer.refresh();
      this.#showObjects();
      this.#time.show();
      if (this.#selection.chosen !== null) this.#panel.reveal();
    });

    this.#cameras.on("choose", (name) => this.#choose(name));
    this.#cameras.on("layout", (layout) => this.#arrange(layout));
    this.#grid.on("choose", (name) => this.#choose(name));

    this.#panel.on("new", () => this.#startNew());
    this.#panel.on("live", () => this.#viewer.goLive());
    this.#panel.on("remove", (objectId) => this.#prompting.remove(objectId));
    this.#panel.on("label", (objectId, label) => this.#prompting.rename(objectId, label));
    this.#panel.on("restart", (objectId) => this.#restart(objectId));
    this.#panel.on("remove all", () => this.#prompting.removeAll());
    this.#panel.on("node", () => this.#toggleNode());

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

  /** What keys can do. */
  #actions() {
    const [viewer, prompting, selection, stage] = [this.#viewer, this.#prompting, this.#selection, this.#stage];
    return {
      isSingle: () => this.#layout === "single" && viewer.camera !== null,
      hasChosen: () => this.#layout === "single" && selection.chosen !== null,
      hasSeveral: () => this.#known.length > 1,
      take: (tool) => this.#take(tool),
      undo: () => prompting.undo(),
      focusCandidates: () => prompting.focusCandidates(),
      everything: () => prompting.proposeEverything(),
      escape: () => prompting.abandon() || selection.choose(null),
      chooseNumber: (objectId) => this.#chooseNumber(objectId),
      startNew: () => this.#startNew(),
      editLabel: () => this.#panel.editLabel(),
      restart: () => this.#restart(selection.chosen),
      hide: () => selection.toggleHidden(selection.chosen),
      solo: () => selection.toggleSolo(selection.chosen),
      remove: () => prompting.remove(selection.chosen),
      space: (event) => this.#space(event),
      step: (by) => viewer.step(by),
      goLive: () => viewer.goLive(),
      zoom: (factor) => stage.zoom(factor),
      fit: () => stage.fit(),
      toggleGrid: () => this.#arrange(this.#layout === "grid" ? "single" : "grid"),
      turn: (by) => this.#turn(by),
    };
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
    this.#showObjects();
    this.#time.show();
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
    if (cameras.length === 0 && !this.#watched) return; // they are not known yet
    this.#watched = watched;
    this.#connection
      .request("watch", { cameras, max_width: maxWidth })
      .catch((error) => this.#notices.refuse(error.message));
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
    if (isNew && this.#viewer.frozen) this.#time.show();
  }

  // Objects

  #showObjects() {
    if (this.#layout === "single") this.#panel.show(this.#prompting.pendingIds);
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

  #startNew() {
    this.#selection.choose(null);
    this.#stage.element.focus();
    this.#notices.say("Point at the new thing, or draw a box around it.");
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
    this.#tick();
  }

  // Pointing

  #take(tool) {
    this.#tools.show(tool);
    this.#stage.pointing.polarity = tool !== "no";
    this.#stage.pointing.boxing = tool === "box";
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

  /** What changes with time alone. */
  #tick() {
    const { camera } = this.#viewer;
    const nodePaused = this.#nodePaused.has(camera);
    this.#panel.showNode(nodePaused);
    this.#corner.show({
      connected: this.#connection.connected,
      camera: this.#known.find(({ name }) => name === camera),
      viewer: this.#viewer,
      rate: this.#rate,
      nodePaused,
    });
    if (this.#viewer.frozen) this.#time.show();
  }
}
