// Below the picture: play, step, speed, which frame it is, and where the model is least sure.

import { button } from "../button.js";
import { element, setText } from "../element.js";
import { setIcon } from "../icons.js";
import { SPEEDS } from "./player.js";

export class Playback {
  #player;
  #fps;

  /**
   * @param go {play, step(by), mark(by), unsure()}: what its buttons do.
   */
  constructor(player, fps, go) {
    this.#player = player;
    this.#fps = fps;
    this.play = button({ icon: "play", name: "Play", key: "Space", class: "play", run: go.play });
    this.field = element("input", {
      type: "text",
      inputmode: "numeric",
      class: "frame-field",
      "aria-label": `Frame, ${player.first} to ${player.last}`,
      title: "Type a frame, or seconds such as 4.5s",
      onchange: () => this.#typed(),
      onfocus: () => this.field.select(),
      onkeydown: (event) => {
        if (event.key === "Escape") this.field.value = String(player.frame);
        if (event.key === "Enter" || event.key === "Escape") this.field.blur();
      },
    });
    this.of = element("span", { class: "frame-of" }, `/ ${player.last}`);
    this.time = element("span", { class: "frame-time" });
    this.speed = element(
      "select",
      {
        class: "speed",
        "aria-label": "Speed",
        title: "Speed (- and +)",
        onchange: () => player.setSpeed(Number(this.speed.value)),
      },
      ...SPEEDS.map((speed) => element("option", { value: speed }, `${speed} ×`)),
    );
    this.unsure = button({ icon: "unsure", name: "Least sure", key: "U", text: true, class: "quiet", run: go.unsure });
    this.element = element(
      "div",
      { class: "playback", role: "toolbar", "aria-label": "Playback" },
      element(
        "div",
        { class: "playback-steps" },
        button({
          icon: "markBack",
          name: "To the annotated frame before",
          key: "Shift+←",
          class: "wide-only",
          run: () => go.mark(-1),
        }),
        button({ icon: "back", name: "A frame back", key: "←", run: () => go.step(-1) }),
        this.play,
        button({ icon: "forward", name: "A frame on", key: "→", run: () => go.step(1) }),
        button({
          icon: "markForward",
          name: "To the next annotated frame",
          key: "Shift+→",
          class: "wide-only",
          run: () => go.mark(1),
        }),
      ),
      element("div", { class: "playback-place" }, this.field, this.of, this.time),
      this.speed,
      this.unsure,
    );
    player.on("frame", () => this.#show());
    player.on("state", () => this.#show());
    this.#show();
  }

  #show() {
    const { frame, playing, waiting, speed } = this.#player;
    setIcon(this.play, playing ? "pause" : "play");
    this.play.title = playing ? "Pause (Space)" : "Play (Space)";
    this.play.setAttribute("aria-label", playing ? "Pause" : "Play");
    this.play.classList.toggle("is-waiting", waiting);
    if (document.activeElement !== this.field) this.field.value = String(frame);
    setText(this.time, time(frame / this.#fps));
    if (document.activeElement !== this.speed) this.speed.value = String(speed);
  }

  #typed() {
    const [, number, seconds] = /^\s*(\d+(?:\.\d*)?)\s*(s?)\s*$/.exec(this.field.value) ?? [];
    if (number !== undefined) this.#player.go(seconds ? Number(number) * this.#fps : Number(number));
    this.field.value = String(this.#player.frame);
  }
}

function time(seconds) {
  const minutes = Math.floor(seconds / 60);
  return `${minutes}:${(seconds - 60 * minutes).toFixed(2).padStart(5, "0")}`;
}
