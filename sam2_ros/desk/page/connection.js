// The line to the server: requests with answers, events, pictures; found again by itself when it is lost.

import { Emitter } from "./emitter.js";

const FIRST_WAIT = 500; // milliseconds until the first attempt to reconnect
const LONGEST_WAIT = 5000;
const SILENCE = 12_000; // milliseconds: the server says something every few seconds, so that then the line is dead
const LONG_SILENCE = 30_000; // while an answer may be under way, which a slow line takes long for

/** What the server says when it cannot follow a request; the message is for the person. */
export class Refused extends Error {}

/** The answer to a request will not come, because the line is lost. */
export class Lost extends Refused {}

/**
 * Emits "open", "lost" (with the server's reason, or ""), "barred" (why: it lets this browser in no more, and the page
 * stops trying), "picture" (header, jpeg: Blob), and every event under its type, such as "hello".
 */
export class Connection extends Emitter {
  #socket = null;
  #waiting = new Map(); // requests without an answer yet, by their number
  #number = 0;
  #wait = FIRST_WAIT;
  #timer = 0;
  #quickest = Infinity; // milliseconds of the quickest request: the server's clock is read off its answer
  #ahead = 0; // milliseconds that the server's clock is ahead of ours

  #heard = 0; // when the server last said something
  #held = null; // messages that wait until the page is ready for them

  connected = false;

  constructor() {
    super();
    setInterval(() => {
      const patience = this.#waiting.size > 0 ? LONG_SILENCE : SILENCE;
      if (!this.connected || Date.now() - this.#heard < patience) return;
      const socket = this.#socket;
      this.#socket = null;
      socket.close();
      this.#lose("", true);
    }, 1000);
  }

  /** Keeps what comes in until `proceed`. */
  hold() {
    this.#held ??= [];
  }

  proceed() {
    const held = this.#held ?? [];
    this.#held = null;
    for (const data of held) this.#receive(data);
  }

  open() {
    clearTimeout(this.#timer);
    const address = new URL("/socket", window.location.href);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    socket.binaryType = "arraybuffer";
    let opened = false;
    socket.onopen = () => {
      if (socket !== this.#socket) return;
      opened = true;
      this.connected = true;
      this.#heard = Date.now();
      this.emit("open");
    };
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket) return;
      this.#heard = Date.now();
      if (this.#held) this.#held.push(data);
      else this.#receive(data);
    };
    socket.onclose = ({ reason }) => {
      if (socket === this.#socket) this.#lose(reason, opened);
    };
    const before = this.#socket;
    this.#socket = socket;
    before?.close();
  }

  /**
   * The answer to a request; throws `Refused` when the server refuses it, or when the line is lost before it answers.
   */
  request(type, fields = {}) {
    if (!this.connected) return Promise.reject(new Refused("The desk's server is out of reach at the moment."));
    const id = ++this.#number;
    this.#socket.send(JSON.stringify({ ...fields, type, id }));
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject, sent: Date.now() }));
  }

  /** Tells the server that a picture of this key has been shown, or left out: it may send another one. */
  shown(key) {
    if (this.connected) this.#socket.send(JSON.stringify({ type: "shown", key }));
  }

  /** Milliseconds since a moment of the server's clock. */
  since(moment) {
    return Date.now() + this.#ahead - moment;
  }

  #receive(data) {
    if (typeof data !== "string") {
      const length = new DataView(data).getUint32(0);
      const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
      this.emit("picture", header, new Blob([new Uint8Array(data, 4 + length)], { type: "image/jpeg" }));
      return;
    }
    const event = JSON.parse(data);
    if (event.type === "hello") this.#wait = FIRST_WAIT;
    if (event.type === "answer") this.#answer(event);
    else this.emit(event.type, event);
  }

  #answer(answer) {
    const request = this.#waiting.get(answer.id);
    if (!request) return;
    this.#waiting.delete(answer.id);
    const took = Date.now() - request.sent;
    if (answer.now_ms !== undefined && took <= this.#quickest) {
      this.#quickest = took;
      const between = answer.now_ms - (request.sent + took / 2); // exact to half of what the request took
      this.#ahead = Math.sign(between) * Math.max(Math.abs(between) - took / 2, 0);
    }
    if (answer.ok) request.resolve(answer);
    else request.reject(new Refused(answer.message));
  }

  async #lose(reason, opened) {
    this.connected = false;
    this.#held = null;
    for (const { reject } of this.#waiting.values()) {
      reject(new Lost("The connection was lost before the answer came. Look whether it was done."));
    }
    this.#waiting.clear();
    this.emit("lost", reason);
    const why = opened ? null : await barred();
    if (why !== null) {
      this.emit("barred", why);
      return;
    }
    this.#timer = setTimeout(() => this.open(), this.#wait * (0.8 + 0.4 * Math.random()));
    this.#wait = Math.min(2 * this.#wait, LONGEST_WAIT);
  }
}

/** What the server says to this browser instead of letting it in; null if it lets it in, or is not there. */
async function barred() {
  try {
    const answer = await fetch("/", { cache: "no-store" });
    return answer.status === 403 ? await answer.text() : null;
  } catch {
    return null;
  }
}
