// Pictures that come over the line, decoded beside the page's thread; when they come too fast, some are left out.

import { Emitter } from "./emitter.js";

/** A decoded picture and what the server said about it. Its memory is free when nobody keeps it any more. */
export class Picture {
  #keepers = 1;

  constructor(header, bitmap) {
    this.header = header;
    this.bitmap = bitmap;
  }

  keep() {
    this.#keepers += 1;
    return this;
  }

  release() {
    this.#keepers -= 1;
    if (this.#keepers === 0) this.bitmap.close();
  }
}

/** Emits "picture" (a `Picture`, which whoever listens releases). At most one of each key is decoded, and one waits. */
export class Pictures extends Emitter {
  #connection;
  #waiting = new Map();
  #busy = new Set();

  constructor(connection) {
    super();
    this.#connection = connection;
    connection.on("picture", (header, jpeg) => this.#receive(header, jpeg));
    connection.on("lost", () => this.#waiting.clear());
  }

  #receive(header, jpeg) {
    const { key } = header;
    if (!this.#busy.has(key)) {
      this.#decode(header, jpeg);
      return;
    }
    if (this.#waiting.has(key)) this.#connection.shown(key); // left out
    this.#waiting.set(key, [header, jpeg]);
  }

  async #decode(header, jpeg) {
    const { key } = header;
    this.#busy.add(key);
    try {
      this.emit("picture", new Picture(header, await createImageBitmap(jpeg)));
    } catch (error) {
      console.warn(`A picture of ${key} cannot be shown: ${error.message}`);
      this.#connection.shown(key);
    }
    this.#busy.delete(key);
    const next = this.#waiting.get(key);
    if (next) {
      this.#waiting.delete(key);
      this.#decode(...next);
    }
  }
}
