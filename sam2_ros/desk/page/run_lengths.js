// Masks as COCO's run lengths: {height, width, counts}, column by column, off and on in turn, beginning with off.

/** Calls `run(column, top, bottom)` for the runs of pixels that are on, column by column, cut at the columns' ends. */
export function forEachRun({ height, counts }, run) {
  let position = 0;
  for (let index = 0; index < counts.length; index++) {
    const end = position + counts[index];
    if (index % 2 === 1) {
      while (position < end) {
        const column = Math.floor(position / height);
        const foot = Math.min(end, (column + 1) * height);
        run(column, position - column * height, foot - column * height);
        position = foot;
      }
    }
    position = end;
  }
}

/** Uint8Array of height * width values 0 and 1, row by row. */
export function decode(mask) {
  const pixels = new Uint8Array(mask.height * mask.width);
  forEachRun(mask, (column, top, bottom) => {
    for (let row = top; row < bottom; row++) pixels[row * mask.width + column] = 1;
  });
  return pixels;
}

/** The mask of height * width values row by row, of which those that are not 0 are on. */
export function encode(pixels, height, width) {
  const counts = [];
  let on = false;
  let length = 0;
  for (let column = 0; column < width; column++) {
    for (let row = 0; row < height; row++) {
      const pixel = pixels[row * width + column] !== 0;
      if (pixel !== on) {
        counts.push(length);
        length = 0;
        on = pixel;
      }
      length += 1;
    }
  }
  counts.push(length);
  return { height, width, counts };
}

/** How many pixels are on. */
export function area({ counts }) {
  let sum = 0;
  for (let index = 1; index < counts.length; index += 2) sum += counts[index];
  return sum;
}

/** Whether the pixel is on; false outside the image. */
export function isOn({ height, width, counts }, x, y) {
  const column = Math.floor(x);
  const row = Math.floor(y);
  if (column < 0 || row < 0 || column >= width || row >= height) return false;
  const wanted = column * height + row;
  let position = 0;
  for (let index = 0; index < counts.length; index++) {
    position += counts[index];
    if (wanted < position) return index % 2 === 1;
  }
  return false;
}

/** The tight box [x, y, width, height] around the pixels that are on; null if none is. */
export function boxOf(mask) {
  let [left, top, right, bottom] = [Infinity, Infinity, -1, -1];
  forEachRun(mask, (column, first, end) => {
    left = Math.min(left, column);
    right = Math.max(right, column + 1);
    top = Math.min(top, first);
    bottom = Math.max(bottom, end);
  });
  return right < 0 ? null : [left, top, right - left, bottom - top];
}

/** Intersection over union of two masks of one size; 1 if both are empty. */
export function overlap(one, other) {
  let both = 0;
  let [i, j] = [0, 0];
  let [endOne, endOther] = [one.counts[0] ?? 0, other.counts[0] ?? 0];
  let position = 0;
  while (i < one.counts.length && j < other.counts.length) {
    const end = Math.min(endOne, endOther);
    if (i % 2 === 1 && j % 2 === 1) both += end - position;
    position = end;
    if (endOne === end) endOne += one.counts[++i] ?? 0;
    if (endOther === end) endOther += other.counts[++j] ?? 0;
  }
  const either = area(one) + area(other) - both;
  return either === 0 ? 1 : both / either;
}
