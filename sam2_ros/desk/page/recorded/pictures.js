// The pictures of a recording: fetched ahead of the player, and decoded ones kept while there is room.

/** Decoded pictures take at most so many bytes. */
const BUDGET = 320 * 2 ** 20;
/** Pictures that are fetched at once; and those of jumps beside them, which don't wait for what was ahead. */
const AT_ONCE = 4;
const JUMPS = 2;

export class Pictures {
  #version;
  #frames;
  #kept = new Map(); // frame -> ImageBitmap, the least recently used first
  #bytes = 0;
  #fetching = new Map(); // frame -> promise of an ImageBitmap or null
  #wanted = []; // frames to fetch ahead, the nearest first
  #jump = null; // {frame, promise, resolve}: the newest that found no place

  /**
   * @param {string} version of the recording: pictures with the same one are the same for ever.
   * @param {number} frames of the recording.
   * @param {Object<string, string>} damaged reasons, by frame.
   */
  constructor(version, frames, damaged = {}) {
    this.#version = version;
    this.#frames = frames;
    this.damaged = new Map(Object.entries(damaged).map(([frame, reason]) => [Number(frame), reason]));
  }

  /** The picture of a frame if it is here; null: not yet, or damaged. */
  get(frame) {
    const picture = this.#kept.get(frame);
    if (!picture) return null;
    this.#kept.delete(frame);
    this.#kept.set(frame, picture);
    return picture;
  }

  /** Whether there is nothing left to wait for. */
  ready(frame) {
    return this.#kept.has(frame) || this.damaged.has(frame);
  }

  /** The picture of a frame; null: it is damaged, the server is away, or somebody has jumped elsewhere since. */
  async load(frame) {
    if (this.damaged.has(frame)) return null;
    const here = this.get(frame) ?? this.#fetching.get(frame);
    if (here) return here;
    if (this.#fetching.size < AT_ONCE + JUMPS) return this.#fetch(frame);
    this.#jump?.resolve(null);
    this.#jump = { frame };
    return new Promise((resolve) => (this.#jump.resolve = resolve));
  }

  /** Fetch so many of the next pictures, every `stride`-th one (negative: backwards), and no longer those before. */
  ahead(frame, stride, count) {
    this.#wanted = [];
    for (let next = frame + stride; this.#wanted.length < count; next += stride) {
      if (next < 0 || next >= this.#frames || Math.abs(next - frame) > count * Math.abs(stride)) break;
      if (!this.ready(next) && !this.#fetching.has(next)) this.#wanted.push(next);
    }
    this.#fill();
  }

  #fill() {
    if (this.#jump && this.#fetching.size < AT_ONCE + JUMPS) {
      const { frame, resolve } = this.#jump;
      this.#jump = null;
      this.load(frame).then(resolve);
    }
    while (this.#wanted.length && this.#fetching.size < AT_ONCE) {
      const frame = this.#wanted.shift();
      if (!this.ready(frame) && !this.#fetching.has(frame)) this.#fetch(frame);
    }
  }

  #fetch(frame) {
    const promise = fetched(`/picture/${frame}?v=${encodeURIComponent(this.#version)}`).then(
      (picture) => this.#keep(frame, picture),
      (error) => {
        // a server that is away is no damage: it is asked again when somebody looks
        if (error instanceof DamagedPicture) this.damaged.set(frame, error.message);
        return null;
      },
    );
    this.#fetching.set(frame, promise);
    return promise.finally(() => {
      this.#fetching.delete(frame);
      this.#fill();
    });
  }

  #keep(frame, picture) {
    this.#kept.set(frame, picture);
    this.#bytes += 4 * picture.width * picture.height;
    for (const [other, old] of this.#kept) {
      if (this.#bytes <= BUDGET || other === frame) break;
      this.#kept.delete(other); // not closed: it may still be on the screen
      this.#bytes -= 4 * old.width * old.height;
    }
    return picture;
  }
}

class DamagedPicture extends Error {}

async function fetched(url) {
  const answer = await fetch(url);
  if (!answer.ok) {
    const reason = (await answer.text()).trim() || `the server answers ${answer.status}`;
    throw answer.status < 500 && answer.status !== 403 ? new DamagedPicture(reason) : new Error(reason);
  }
  const jpeg = await answer.blob();
  try {
    return await createImageBitmap(jpeg);
  } catch {
    throw new DamagedPicture("its picture cannot be decoded");
  }
}
