// What a click means, from where it is: decided here once, for the hint beside the pointer and for the click itself.

import { isOn } from "../run_lengths.js";

const NEAR = 0.15; // of its box's size: so far around it a click still belongs to the chosen object

/**
 * What a click at a place means.
 *
 * @param {Object} place {x, y, positive, alt, ctrl}
 * @param {Array<Object>} masklets that are shown: {object_id, label, mask, box}
 * @param {number|null} chosen object ID
 * @param {boolean} restarting whether the chosen object begins anew with this click
 * @returns {{act: "new"|"refine"|"restart"|"choose"|"nothing", object_id: number}}
 */
export function intent({ x, y, positive, alt, ctrl }, masklets, chosen, restarting) {
  const at = (masklet) => masklet.mask && isOn(masklet.mask, x, y);
  const smallest = masklets.filter(at).sort((one, other) => one.box[2] * one.box[3] - other.box[2] * other.box[3])[0];
  const mine = masklets.find((masklet) => masklet.object_id === chosen);
  if (!positive) {
    const target = chosen ?? smallest?.object_id;
    return target ? { act: "refine", object_id: target } : { act: "nothing", object_id: 0 };
  }
  if (restarting && chosen) return { act: "restart", object_id: chosen };
  if (alt) return { act: "new", object_id: 0 };
  if (chosen && (ctrl || (mine && at(mine)))) return { act: "refine", object_id: chosen };
  if (smallest) return { act: "choose", object_id: smallest.object_id };
  if (mine && isNear(mine.box, x, y)) return { act: "refine", object_id: chosen };
  return { act: "new", object_id: 0 };
}

function isNear(box, x, y) {
  if (!box || !box[2]) return false;
  const [left, top, width, height] = box;
  const margin = NEAR * Math.max(width, height);
  return x >= left - margin && y >= top - margin && x <= left + width + margin && y <= top + height + margin;
}
