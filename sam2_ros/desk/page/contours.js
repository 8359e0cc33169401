// The outline of a mask along its pixels' edges, with cut corners: a path that is crisp at any zoom.
//
// The centre of every pixel that is on lies inside, and of every other one outside.

import { forEachRun } from "./run_lengths.js";

const [RIGHT, DOWN, LEFT, UP] = [0, 1, 2, 3];
const LONGEST_CUT = 3; // pixels of a long edge beside a step of one pixel

let edges = new Uint8Array(0); // of each corner of pixels: a bit for each direction in which an edge leaves it
const paths = new WeakMap();

/**
 * The mask's Path2D in image pixels, (0, 0) the corner of the first pixel; fill it with "evenodd". Kept with the mask.
 */
export function contourPath(mask) {
  let path = paths.get(mask);
  if (!path) {
    path = new Path2D();
    for (const [xs, ys] of contours(mask)) addCutCorners(path, xs, ys);
    paths.set(mask, path);
  }
  return path;
}

/** Closed outlines of the mask, pixels on their right-hand side: [xs, ys] of their corners. */
export function contours(mask) {
  const stride = mask.width + 1;
  const size = stride * (mask.height + 1);
  if (edges.length < size) edges = new Uint8Array(size);
  const starts = markEdges(mask, stride);
  const found = [];
  for (const start of starts) {
    if (edges[start] & (1 << RIGHT)) found.push(follow(start, stride));
  }
  return found;
}

/** Marks all edges between on and off; returns corners, at least one of each outline, from which an edge goes right. */
function markEdges(mask, stride) {
  const starts = [];
  let before = []; // runs of the column before: top, bottom, top, bottom ...
  let runs = [];
  let column = -1;
  const finish = (next) => {
    markUprights(before, runs, column, stride);
    if (next > column + 1) {
      if (column >= 0) markUprights(runs, [], column + 1, stride);
      before = [];
    } else before = runs;
    runs = [];
    column = next;
  };
  forEachRun(mask, (x, top, bottom) => {
    if (x !== column) finish(x);
    runs.push(top, bottom);
    starts.push(top * stride + x);
    edges[top * stride + x] |= 1 << RIGHT;
    edges[bottom * stride + x + 1] |= 1 << LEFT;
  });
  finish(Infinity);
  return starts;
}

/** Marks the upright edges at x between the runs on the left of it and those on its right. */
function markUprights(left, right, x, stride) {
  let [i, j] = [0, 0];
  let y = 0;
  while (i < left.length || j < right.length) {
    const end = Math.min(left[i] ?? Infinity, right[j] ?? Infinity);
    const [onLeft, onRight] = [i % 2 === 1, j % 2 === 1];
    if (onLeft && !onRight) for (let row = y; row < end; row++) edges[row * stride + x] |= 1 << DOWN;
    if (onRight && !onLeft) for (let row = y; row < end; row++) edges[(row + 1) * stride + x] |= 1 << UP;
    y = end;
    if (left[i] === end) i += 1;
    if (right[j] === end) j += 1;
  }
}

/** Follows edges from a corner back to it, and takes their marks away. Where two pixels touch, it stays at its own. */
function follow(start, stride) {
  const [xs, ys] = [[], []];
  const steps = [1, stride, -1, -stride];
  let corner = start;
  let direction = RIGHT;
  do {
    corner += steps[direction];
    let next = (direction + 1) % 4;
    if (!(edges[corner] & (1 << next))) next = direction;
    if (!(edges[corner] & (1 << next))) next = (direction + 3) % 4;
    if (next !== direction) {
      xs.push(corner % stride);
      ys.push(Math.floor(corner / stride));
    }
    direction = next;
    edges[corner] &= ~(1 << direction);
  } while (corner !== start || direction !== RIGHT);
  return [xs, ys];
}

/**
 * Adds a closed outline. Where it goes on after a step of one pixel, corners are cut such that slopes become straight.
 */
function addCutCorners(path, xs, ys) {
  const count = xs.length;
  const turnsRight = (index) => {
    const [before, after] = [(index + count - 1) % count, (index + 1) % count];
    return (xs[index] - xs[before]) * (ys[after] - ys[index]) > (ys[index] - ys[before]) * (xs[after] - xs[index]);
  };
  let before = count - 1;
  let previous = Math.abs(xs[0] - xs[before]) + Math.abs(ys[0] - ys[before]);
  let [turnBefore, turn] = [turnsRight(before), turnsRight(0)];
  for (let index = 0; index < count; index++) {
    const after = index === count - 1 ? 0 : index + 1;
    const turnAfter = turnsRight(after);
    const [x, y] = [xs[index], ys[index]];
    const [toX, toY] = [xs[after] - x, ys[after] - y];
    const next = Math.abs(toX) + Math.abs(toY);
    const cutBefore = next === 1 && turnAfter !== turn ? Math.min(previous / 2, LONGEST_CUT) : 0.5;
    const cutAfter = previous === 1 && turnBefore !== turn ? Math.min(next / 2, LONGEST_CUT) : 0.5;
    const enterX = x + Math.sign(xs[before] - x) * cutBefore;
    const enterY = y + Math.sign(ys[before] - y) * cutBefore;
    if (index === 0) path.moveTo(enterX, enterY);
    else path.lineTo(enterX, enterY);
    path.lineTo(x + Math.sign(toX) * cutAfter, y + Math.sign(toY) * cutAfter);
    [before, previous, turnBefore, turn] = [index, next, turn, turnAfter];
  }
  path.closePath();
}
