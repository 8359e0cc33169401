// What is known about the last minutes of one camera: each object's presence, and where it was prompted.

const KEPT = 180; // seconds
const GAP = 1.6; // seconds without a sample after which the line breaks

/** Times are seconds since the first stamp that was seen; a stamp is a decimal string of nanoseconds. */
export class Presence {
  #origin = null;
  #objects = new Map(); // ID to {label, samples: [[time, presence or null]], marks: [{time, kind}]}

  /** Seconds of a stamp. */
  time(stamp) {
    const nanoseconds = BigInt(stamp);
    this.#origin ??= nanoseconds;
    return Number(nanoseconds - this.#origin) / 1e9;
  }

  /** Takes an event of type presence. */
  take({ samples, marks, objects, whole }) {
    if (whole) this.#objects.clear();
    for (const { object_id: objectId, label } of objects) this.#object(objectId).label = label;
    for (const [stamp, values] of samples) {
      const time = this.time(stamp);
      for (const [objectId, presence] of Object.entries(values)) {
        const known = this.#object(Number(objectId)).samples;
        const last = known.at(-1)?.[0];
        if (last !== undefined && time <= last) continue;
        if (last !== undefined && time - last > GAP) known.push([last, null]);
        known.push([time, presence]);
      }
    }
    for (const { stamp, object_id: objectId, kind } of marks) {
      const { marks: known } = this.#object(objectId);
      const time = this.time(stamp);
      if (!known.some((mark) => mark.time === time && mark.kind === kind)) known.push({ time, kind });
    }
  }

  /** Rows for the timeline from a time on, in ascending ID; `tracked` IDs come first, what is gone is faint. */
  rows(from, tracked) {
    const rows = [];
    for (const [objectId, { label, samples, marks }] of this.#objects) {
      while (samples.length && samples[0][0] < from - KEPT) samples.shift();
      const here = tracked.has(objectId);
      const last = samples.at(-1)?.[0] ?? -Infinity;
      if (!here && last < from && !marks.some(({ time }) => time >= from)) continue;
      rows.push({
        object_id: objectId,
        label,
        samples: samples.filter(([time]) => time >= from),
        marks: marks.filter(({ time }) => time >= from),
        faint: !here,
      });
    }
    return rows.sort((one, other) => one.faint - other.faint || one.object_id - other.object_id);
  }

  #object(objectId) {
    if (!this.#objects.has(objectId)) this.#objects.set(objectId, { label: "", samples: [], marks: [] });
    return this.#objects.get(objectId);
  }
}
