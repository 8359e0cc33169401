// How fast pictures come and how old their masks are when they are on the screen.

const SPAN = 2000; // milliseconds

export class Rate {
  #arrivals = [];
  #ages = [];

  /** A picture is on the screen; `age` is the milliseconds since its masklets came to the desk, or null. */
  add(age) {
    const now = performance.now();
    this.#arrivals.push(now);
    if (age !== null) this.#ages.push([now, age]);
    while (this.#arrivals[0] < now - SPAN) this.#arrivals.shift();
    while (this.#ages.length && this.#ages[0][0] < now - SPAN) this.#ages.shift();
  }

  /** Pictures a second. */
  get rate() {
    const since = performance.now() - SPAN;
    return this.#arrivals.filter((time) => time >= since).length / (SPAN / 1000);
  }

  /** Median age, milliseconds; null: not known. */
  get age() {
    const ages = this.#ages.map(([, age]) => age).sort((one, other) => one - other);
    return ages.length ? ages[Math.floor(ages.length / 2)] : null;
  }

  clear() {
    this.#arrivals = [];
    this.#ages = [];
  }
}
