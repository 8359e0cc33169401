// Masks by hand, carried to the other frames.

import { nearest } from "./navigation.js";
import { sentence } from "./project.js";

export class Propagation {
  #parts;
  #notices;

  constructor(parts, notices) {
    this.#parts = parts;
    this.#notices = notices;
  }

  /** Whether the selected object can be propagated, from which frame, and why or why not: {possible, from, why}. */
  get state() {
    const { annotating, phases, jobs, timeline, player } = this.#parts;
    const { selected } = annotating;
    if (selected === null) return { possible: false, why: "Select an object first." };
    if (phases.phase === 1) {
      return { possible: false, why: "Phase 1 makes every mask on its own frame; propagate in phase 2 or 3." };
    }
    if (jobs.running("propagate").some((job) => job.object_id === selected)) {
      return { possible: false, why: "It is being propagated." };
    }
    const marks = timeline.marks(selected);
    if (!marks.length) return { possible: false, why: "Point at it first: a mask by hand is propagated, both ways." };
    const from = nearest(marks, player.frame);
    return { possible: true, from, why: `From frame ${from} to both ends; masks by hand stay (R)` };
  }

  /** Begin a job. */
  async begin() {
    const { annotating, brush, phases, project, time } = this.#parts;
    if (brush.changed) await brush.save();
    const { possible, from, why } = this.state;
    if (!possible) return this.#notices.say(why);
    const fields = { object_id: annotating.selected, frame: from, phase: phases.phase, seconds: time.take() };
    try {
      await project.ask("propagate", fields);
    } catch (error) {
      this.#notices.refuse(sentence(error.message));
    }
  }
}
