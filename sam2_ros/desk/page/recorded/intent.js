// What a click on the picture means, decided once: for the hint beside the pointer and for the click itself.
//
// While an object is selected, clicks anywhere are about it: its mask may be missing where it has to be corrected.

import { area, isOn } from "../run_lengths.js";

/**
 * @param {Object} place {x, y, positive, alt, ctrl}
 * @param {Array<Object>} masks that are shown on the frame
 * @param {number|null} selected object ID
 * @returns {{act: "new"|"refine"|"choose"|"nothing", object_id: number|null}}
 */
export function intent({ x, y, positive, alt, ctrl }, masks, selected) {
  const there = masks.filter(({ present, mask }) => present && isOn(mask, x, y));
  const smallest = there.sort((one, other) => area(one.mask) - area(other.mask))[0]?.object_id ?? null;
  if (alt && positive) return { act: "new", object_id: null };
  if (ctrl) return smallest === null ? { act: "nothing", object_id: null } : { act: "choose", object_id: smallest };
  if (selected !== null) return { act: "refine", object_id: selected };
  if (smallest !== null) return { act: "choose", object_id: smallest };
  return positive ? { act: "new", object_id: null } : { act: "nothing", object_id: null };
}
