// Verification: somebody else's masklets, one film strip after the other, and a verdict with one key.

import { button } from "../button.js";
import { css } from "../colours.js";
import { element, setText } from "../element.js";
import { Emitter } from "../emitter.js";
import { sentence } from "./project.js";

const VERDICTS = [
  { verdict: "satisfactory", name: "Satisfactory", key: "1", icon: "check", says: "it is right on all frames" },
  { verdict: "unsatisfactory", name: "Unsatisfactory", key: "2", icon: "undo", says: "somebody corrects it" },
  { verdict: "no object", name: "No object", key: "3", icon: "no", says: "it is rejected" },
];

const EMPTY =
  "Automatic proposals wait here, and what others have annotated on nine of ten frames. Nobody judges their own work.";

/** `look` (object ID): somebody wants to see it in the recording; `count`: so many wait for a verdict. */
export class Verification extends Emitter {
  #project;
  #queue = [];
  #put = new Set(); // those that were put off: at the end
  #seen = 0;
  #shown = null;
  #fetching = null;
  #again = false;
  #judged = 0;
  #visible = false; // the film strip is there

  constructor(project, shortcuts) {
    super();
    this.#project = project;
    this.element = this.#build();
    this.element.hidden = true;
    const when = () => !this.element.hidden && this.#shown !== null;
    shortcuts.register([
      ...VERDICTS.map(({ verdict, key, name }) => ({
        keys: [key],
        says: verdict === "unsatisfactory" ? "unsatisfactory: say why, Enter" : name.toLowerCase(),
        group: "Verification",
        when,
        run: () => this.#choose(verdict),
      })),
      {
        keys: ["ArrowRight", "s"],
        says: "put it off: the next one",
        group: "Verification",
        when,
        run: () => this.skip(),
      },
      {
        keys: ["Enter", "l"],
        says: "look at it in the recording",
        group: "Verification",
        when,
        run: () => this.look(),
      },
    ]);
    project.on("objects", () => this.refresh());
  }

  get open() {
    return !this.element.hidden;
  }

  show(open) {
    this.element.hidden = !open;
    if (open) {
      this.#judged = 0;
      this.refresh();
      this.element.focus();
    }
  }

  /** What waits may have changed. */
  async refresh() {
    this.#again = true;
    if (this.#fetching) return;
    this.#fetching = true;
    try {
      while (this.#again) {
        this.#again = false;
        const seen = this.#project.lastAction;
        const { waiting } = await this.#project.ask("queue", {});
        this.#seen = seen;
        this.#queue = waiting;
        setText(this.emptySays, EMPTY);
        this.#showNext();
        this.emit("count", waiting.length);
      }
    } catch (error) {
      this.#queue = []; // nobody has said who they are, or the server is away: asked again when that changes
      this.#showNext();
      setText(this.emptySays, sentence(error.message));
    } finally {
      this.#fetching = false;
    }
  }

  /** A verdict on the film strip that is shown: nobody judges what they have not seen. */
  async judge(verdict) {
    const one = this.#shown;
    if (!one || !this.#visible) return;
    const fields = { object_id: one.object_id, verdict, seen: one.seen };
    const reason = this.reason.value.trim();
    if (reason) fields.reason = reason;
    this.reason.value = "";
    this.#queue = this.#queue.filter((other) => other.object_id !== one.object_id); // the next one is there at once
    this.#showNext();
    if ((await this.#project.change("judge", fields)) !== null) this.#judged += 1;
    this.refresh();
  }

  /** The next one; this one comes again at the end. */
  skip() {
    if (!this.#shown) return;
    this.#put.delete(this.#shown.object_id);
    this.#put.add(this.#shown.object_id);
    this.#showNext();
  }

  look() {
    if (this.#shown) this.emit("look", this.#shown.object_id);
  }

  /** Satisfactory and no object hold at once; what is unsatisfactory may need a word for who corrects it. */
  #choose(verdict) {
    if (!this.#visible) return;
    if (verdict === "unsatisfactory" && !this.reason.value.trim() && document.activeElement !== this.reason) {
      this.reason.focus();
    } else this.judge(verdict);
  }

  #setVisible(visible, says = "") {
    this.#visible = visible;
    this.strip.classList.toggle("loading", !visible);
    setText(this.making, says);
    for (const made of this.verdicts) made.disabled = !visible;
  }

  /** There is no film strip: the server says why. */
  async #fail() {
    const address = this.strip.getAttribute("src");
    let why = "the server is out of reach";
    try {
      const answer = await fetch(address);
      if (!answer.ok) why = await answer.text();
    } catch {
      // it is
    }
    if (this.strip.getAttribute("src") !== address) return;
    this.#setVisible(false, `There is no film strip: ${why}`);
    this.strip.removeAttribute("src"); // asked for again when something changes
  }

  #showNext() {
    for (const objectId of this.#put) {
      if (!this.#queue.some((one) => one.object_id === objectId)) this.#put.delete(objectId);
    }
    const later = [...this.#put];
    const order = [
      ...this.#queue.filter((one) => !this.#put.has(one.object_id)),
      ...later.map((objectId) => this.#queue.find((one) => one.object_id === objectId)),
    ];
    // who is being looked at stays, whatever comes in before it
    const current = order.find((one) => one.object_id === this.#shown?.object_id && !this.#put.has(one.object_id));
    const next = current ?? order[0] ?? null;
    const following = order.find((one) => one !== next);
    const same = next && next.object_id === this.#shown?.object_id && next.action_id === this.#shown.action_id;
    this.#shown = next && { ...next, seen: same ? this.#shown.seen : this.#seen };
    setText(this.waiting, order.length === 1 ? "1 waits for you" : `${order.length} wait for you`);
    setText(this.judged, this.#judged ? `${this.#judged} judged` : "");
    this.element.classList.toggle("nothing", !next);
    this.empty.hidden = Boolean(next);
    this.card.hidden = !next;
    if (!next) return;
    this.chip.style.setProperty("--object", css(next.object_id));
    setText(this.chip, String(next.object_id));
    setText(this.title, next.label || `Object ${next.object_id}`);
    setText(this.facts, `${next.state} · predicted IoU ${next.iou.toFixed(2)}`);
    const address = strip(next);
    if (this.strip.getAttribute("src") !== address) {
      this.#setVisible(false, "The film strip is being made ...");
      this.strip.src = address;
      this.strip.alt = `Film strip of ${next.label || `Object ${next.object_id}`}`;
    }
    if (following) new Image().src = strip(following); // it is there when its turn comes
  }

  #build() {
    this.waiting = element("span", { class: "verification-waiting", role: "status" });
    this.judged = element("span", { class: "verification-judged" });
    this.chip = element("span", { class: "chip numbered" });
    this.title = element("h2", {});
    this.facts = element("span", { class: "verification-facts" });
    this.strip = element("img", {
      class: "strip",
      onload: () => this.#setVisible(true),
      onerror: () => this.#fail(),
    });
    this.making = element("p", { class: "strip-making", role: "status" });
    this.reason = element("input", {
      type: "text",
      maxlength: 256,
      placeholder: "What is wrong? Enter sends it back",
      "aria-label": "What is wrong (optional)",
      autocomplete: "off",
    });
    const verdicts = VERDICTS.map(({ verdict, name, key, says, icon }) => {
      const made = button({ icon, name, text: true, class: "verdict", run: () => this.#choose(verdict) });
      made.append(element("kbd", {}, key), element("small", {}, says));
      made.dataset.verdict = verdict;
      made.setAttribute("aria-keyshortcuts", key);
      return made;
    });
    this.verdicts = verdicts;
    this.reason.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.judge("unsatisfactory");
      if (event.key === "Enter" || event.key === "Escape") this.element.focus();
      event.stopPropagation();
    });
    this.card = element(
      "div",
      { class: "verification-card" },
      element("header", {}, this.chip, this.title, this.facts, this.waiting, this.judged),
      element("div", { class: "strip-place", tabindex: 0, "aria-label": "Film strip" }, this.strip, this.making),
      element("div", { class: "verdicts" }, ...verdicts),
      element(
        "footer",
        {},
        this.reason,
        button({
          icon: "eye",
          name: "Look at it in the recording",
          key: "Enter",
          text: true,
          class: "quiet",
          run: () => this.look(),
        }),
        button({ icon: "forward", name: "Later", key: "S", text: true, class: "quiet", run: () => this.skip() }),
      ),
    );
    this.emptySays = element("p", {}, EMPTY);
    this.empty = element(
      "div",
      { class: "verification-empty" },
      element("h2", {}, "Nothing waits for your verdict"),
      this.emptySays,
    );
    return element(
      "section",
      { class: "verification", "aria-label": "Verification", tabindex: -1 },
      this.card,
      this.empty,
    );
  }
}

function strip(one) {
  const dark = document.documentElement.dataset.theme !== "light";
  return `/strip/${one.object_id}?v=${one.action_id}${dark ? "&dark" : ""}`;
}
