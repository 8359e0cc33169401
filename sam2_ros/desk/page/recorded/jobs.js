// What takes long: propagation, proposals, exports, training. How far they are, and a way to end them.

import { button } from "../button.js";
import { element, setText } from "../element.js";
import { Emitter } from "../emitter.js";
import { sentence } from "./project.js";

/** Finished jobs stay so long where they are shown, milliseconds. */
const STAYS = 8000;
/** Lines of a job that are kept. */
const LINES = 400;

const AGAIN = { propagate: "Propagate again.", propose: "Find everything again: it goes on.", export: "Export again." };

/** `change` (job): {job, kind, title, done, total, state, message, command, lines, began, left}; `end` (job). */
export class Jobs extends Emitter {
  #project;
  known = new Map();

  constructor(project, connection) {
    super();
    this.#project = project;
    connection.on("job", (event) => this.#update(event));
    // a server that was started anew does not know them any more
    connection.on("hello", () => {
      for (const job of this.known.values()) if (job.state === "running") job.uncertain = true;
      setTimeout(() => this.#forgetUncertain(), 3000);
    });
  }

  running(kind) {
    return [...this.known.values()].filter((job) => job.state === "running" && (!kind || job.kind === kind));
  }

  async cancel(job) {
    try {
      await this.#project.ask("cancel", { job: job.job });
    } catch (error) {
      this.#project.emit("refused", sentence(error.message));
    }
  }

  #update(event) {
    const before = this.known.get(event.job);
    const now = performance.now();
    const job = before ?? { lines: [], began: now, from: event.done ?? 0 };
    const ended = event.state !== "running" && before?.state === "running"; // not what had ended before this page
    const message = event.message ?? "";
    if (event.lines) job.lines = [...event.lines];
    else if (message) addLine(job.lines, message);
    job.lines.splice(0, job.lines.length - LINES);
    const { lines, ...news } = event;
    Object.assign(job, news, { uncertain: false });
    const steps = job.done - job.from;
    job.left = steps > 0 && job.total ? ((now - job.began) / 1000 / steps) * (job.total - job.done) : null;
    this.known.set(job.job, job);
    this.emit("change", job);
    if (ended) this.emit("end", job);
  }

  #forgetUncertain() {
    for (const job of this.known.values()) {
      if (!job.uncertain) continue;
      Object.assign(job, {
        state: "failed",
        message: `The desk was started again meanwhile. ${AGAIN[job.kind] ?? ""}`,
        uncertain: false,
      });
      this.emit("change", job);
      this.emit("end", job);
    }
  }
}

/** A card for each job of some kinds: its progress, and a way to end it. */
export class JobCards {
  #cards = new Map();

  constructor(jobs, kinds, { stays = STAYS, lines = false } = {}) {
    this.element = element("div", { class: "jobs", "aria-label": "Work in progress" });
    jobs.on("change", (job) => {
      if (!kinds.includes(job.kind)) return;
      if (!this.#cards.has(job.job)) {
        if (job.state !== "running" && stays < Infinity) return; // it had ended before this page was opened
        const card = new JobCard(jobs, job, lines);
        this.#cards.set(job.job, card);
        this.element.prepend(card.element);
      }
      const card = this.#cards.get(job.job);
      card.show(job);
      if (job.state !== "running" && job.state !== "failed" && stays < Infinity) {
        setTimeout(() => this.#remove(job.job), stays);
      }
    });
  }

  #remove(number) {
    this.#cards.get(number)?.element.remove();
    this.#cards.delete(number);
  }
}

class JobCard {
  constructor(jobs, job, lines) {
    this.title = element("span", { class: "job-title" });
    this.says = element("span", { class: "job-says" });
    this.bar = element("progress", { "aria-label": "Progress" });
    this.cancel = button({ icon: "close", name: "Cancel", text: true, class: "quiet", run: () => jobs.cancel(job) });
    this.close = button({ icon: "close", name: "Close", run: () => this.element.remove() });
    this.element = element(
      "section",
      { class: "job", dataset: { job: job.job, kind: job.kind } },
      element("header", {}, this.title, this.cancel, this.close),
      this.bar,
      this.says,
    );
    if (lines) {
      this.command = element("code", { class: "command" });
      this.lines = element("pre", { class: "job-lines", tabindex: 0, "aria-label": "What it says" });
      this.element.append(this.command, this.lines);
    }
  }

  show(job) {
    this.element.dataset.state = job.state;
    setText(this.title, job.title);
    const running = job.state === "running";
    this.cancel.hidden = !running;
    this.close.hidden = running;
    this.bar.hidden = !running;
    if (job.total) {
      this.bar.max = job.total;
      this.bar.value = job.done;
    } else this.bar.removeAttribute("value");
    setText(this.says, said(job));
    if (this.lines) {
      this.command.hidden = !job.command;
      setText(this.command, job.command ?? "");
      const atEnd = this.lines.scrollTop + this.lines.clientHeight >= this.lines.scrollHeight - 4;
      setText(this.lines, job.lines.join("\n"));
      this.lines.hidden = job.lines.length < 2;
      if (atEnd) this.lines.scrollTop = this.lines.scrollHeight;
    }
  }
}

/** Adds what a job says; the next number of the same progress takes the place of the one before. */
function addLine(lines, message) {
  const form = (line) => line?.replace(/[\d.:,]+/g, "#");
  if (form(lines.at(-1)) === form(message)) lines.pop();
  lines.push(message);
}

/** How far a job is, in words. */
export function said(job) {
  if (job.state === "cancelled") return "Cancelled; nothing of it was stored.";
  if (job.state === "done" && job.message?.includes("\n")) return "Done.";
  if (job.state !== "running") return job.message ? sentence(job.message) : job.state === "done" ? "Done." : "Failed.";
  if (!job.total) return job.message || "Begins ...";
  const stage = job.message?.replace(/[, ]*\d+:\d\d:\d\d left$/, "");
  const parts = [...(stage ? [stage] : []), `${job.done} of ${job.total}`];
  if (job.left !== null && Number.isFinite(job.left)) parts.push(`${duration(job.left)} left`);
  return parts.join(" · ");
}

function duration(seconds) {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}
