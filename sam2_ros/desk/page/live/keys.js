// What the keys do on the live page; they are listed in the help.

/** @param {Object} desk what can be done, by name @returns entries for `Shortcuts.register` */
export function keys(desk) {
  const { isSingle: single, hasChosen: chosen, hasSeveral: several } = desk;
  const group = (name, ...entries) =>
    entries.map(([pressed, says, when, run]) => ({ keys: pressed, says, group: name, when, run }));
  return [
    ...group(
      "Pointing",
      [["p"], "a click is yes", single, () => desk.take("yes")],
      [["n"], "a click is no", single, () => desk.take("no")],
      [["b"], "box, also with the keyboard's crosshair", single, () => desk.take("box")],
      [
        ["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight"],
        "on the picture: crosshair; Enter clicks",
        () => false,
        null,
      ],
      [["z"], "undo the last prompt", single, desk.undo],
      [["c"], "candidates: arrows, Enter takes", single, desk.focusCandidates],
      [["e"], "find everything", single, desk.everything],
      [["Escape"], "leave what is begun, choose nothing", null, desk.escape],
    ),
    ...group(
      "Objects",
      [["1-9"], "choose the object of that ID", single, ({ key }) => desk.chooseNumber(Number(key))],
      [["a"], "a new object", single, desk.startNew],
      [["l"], "its label; with none chosen, that of new things", single, desk.editLabel],
      [["r"], "start it again with the next click", chosen, desk.restart],
      [["h"], "hide it", chosen, desk.hide],
      [["s"], "show only it", chosen, desk.solo],
      [["Delete", "Backspace"], "remove it", chosen, desk.remove],
    ),
    ...group(
      "Time",
      [[" "], "pause the picture, go on live", single, desk.space],
      [[","], "one frame back", single, () => desk.step(-1)],
      [["."], "one frame on", single, () => desk.step(1)],
      [["End"], "live", single, desk.goLive],
    ),
    ...group(
      "Picture",
      [["+", "="], "zoom in", single, () => desk.zoom(1.4)],
      [["-"], "zoom out", single, () => desk.zoom(1 / 1.4)],
      [["0"], "whole picture", single, desk.fit],
    ),
    ...group(
      "Cameras",
      [["g"], "all cameras, or one", several, desk.toggleGrid],
      [["["], "the camera before", several, () => desk.turn(-1)],
      [["]"], "the next camera", several, () => desk.turn(1)],
    ),
  ];
}
