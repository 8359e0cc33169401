// A mask that somebody paints: exact pixels, with strokes that can be taken back before it is saved.

import { decode, encode } from "../run_lengths.js";

/** Strokes that can be taken back. */
const KEPT = 100;

export class PaintedMask {
  #pixels; // Uint8Array, row by row
  #strokes = []; // masks as they were before each stroke, as run lengths
  #later = []; // strokes that were taken back
  #last = null;
  #line = []; // where the stroke was
  #image;
  #colour;

  /** @param {{height, width, counts}|null} mask to go on from; null: nothing. */
  constructor(height, width, mask, [red, green, blue]) {
    this.height = height;
    this.width = width;
    this.canvas = new OffscreenCanvas(width, height);
    this.#image = new ImageData(width, height);
    this.#colour = [red, green, blue];
    this.#pixels = mask ? decode(mask) : new Uint8Array(height * width);
    this.#draw(0, 0, width, height);
  }

  get changed() {
    return this.#strokes.length > 0;
  }

  get canRedo() {
    return this.#later.length > 0;
  }

  get empty() {
    return !this.#pixels.includes(1);
  }

  /** Begin a stroke with a round brush; (0.5, 0.5) is the middle of the first pixel. */
  begin(x, y, radius, value) {
    this.#strokes.push(this.mask());
    if (this.#strokes.length > KEPT) this.#strokes.shift();
    this.#later = [];
    this.#last = null;
    this.#line = [];
    this.move(x, y, radius, value);
  }

  /** Paint from where the stroke was to here. `value`: true on the object, false not. */
  move(x, y, radius, value) {
    const [fromX, fromY] = this.#last ?? [x, y];
    this.#last = [x, y];
    this.#line.push([x, y]);
    const left = Math.max(0, Math.floor(Math.min(x, fromX) - radius));
    const right = Math.min(this.width - 1, Math.ceil(Math.max(x, fromX) + radius));
    const top = Math.max(0, Math.floor(Math.min(y, fromY) - radius));
    const bottom = Math.min(this.height - 1, Math.ceil(Math.max(y, fromY) + radius));
    if (right < left || bottom < top) return;
    const [alongX, alongY] = [x - fromX, y - fromY];
    const length = alongX * alongX + alongY * alongY;
    const reach = radius * radius;
    for (let row = top; row <= bottom; row++) {
      for (let column = left; column <= right; column++) {
        const [dx, dy] = [column + 0.5 - fromX, row + 0.5 - fromY];
        const along = length ? Math.max(0, Math.min(1, (dx * alongX + dy * alongY) / length)) : 0;
        const [ex, ey] = [dx - along * alongX, dy - along * alongY];
        if (ex * ex + ey * ey <= reach) this.#pixels[row * this.width + column] = value ? 1 : 0;
      }
    }
    this.#draw(left, top, right + 1, bottom + 1);
  }

  /** Fill what the stroke encircles; its end is joined to its beginning. */
  fill(value) {
    const line = this.#line;
    const ys = line.map(([, y]) => y);
    const top = Math.max(0, Math.floor(Math.min(...ys)));
    const bottom = Math.min(this.height - 1, Math.ceil(Math.max(...ys)));
    for (let row = top; row <= bottom; row++) {
      const crossings = [];
      const middle = row + 0.5;
      for (let index = 0; index < line.length; index++) {
        const [x, y] = line[index];
        const [nextX, nextY] = line[(index + 1) % line.length];
        if (y <= middle !== nextY <= middle) crossings.push(x + ((middle - y) / (nextY - y)) * (nextX - x));
      }
      crossings.sort((one, other) => one - other);
      for (let pair = 0; pair + 1 < crossings.length; pair += 2) {
        const left = Math.max(0, Math.ceil(crossings[pair] - 0.5));
        const right = Math.min(this.width - 1, Math.floor(crossings[pair + 1] - 0.5));
        if (right >= left) this.#pixels.fill(value ? 1 : 0, row * this.width + left, row * this.width + right + 1);
      }
    }
    this.#draw(0, 0, this.width, this.height);
  }

  /** Take the last stroke back. */
  undo() {
    this.#step(this.#strokes, this.#later);
  }

  redo() {
    this.#step(this.#later, this.#strokes);
  }

  /** Run lengths, column by column, beginning with what is off. */
  mask() {
    return encode(this.#pixels, this.height, this.width);
  }

  #step(from, to) {
    if (!from.length) return;
    to.push(this.mask());
    this.#pixels = decode(from.pop());
    this.#last = null;
    this.#draw(0, 0, this.width, this.height);
  }

  #draw(left, top, right, bottom) {
    const data = this.#image.data;
    const [red, green, blue] = this.#colour;
    for (let row = top; row < bottom; row++) {
      for (let column = left; column < right; column++) {
        const place = row * this.width + column;
        data[4 * place] = red;
        data[4 * place + 1] = green;
        data[4 * place + 2] = blue;
        data[4 * place + 3] = this.#pixels[place] ? 255 : 0;
      }
    }
    const context = this.canvas.getContext("2d");
    context.putImageData(this.#image, 0, 0, left, top, right - left, bottom - top);
  }
}
