// What the keys do over a recording.

/**
 * Entries for `Shortcuts`.
 *
 * @param desk {shownView, show(view), reverse("undo"|"redo"), escape()}
 * @param parts of the page
 */
export function keys(
  desk,
  { stage, player, phases, annotating, objects, brush, card, navigation, pointer, propagation },
) {
  const inPicture = () => desk.shownView === "annotate";
  const selected = () => inPicture() && annotating.selected !== null;
  const hasMask = () => selected() && annotating.mask !== null;
  const inPhase1 = () => selected() && phases.phase === 1;
  const painting = () => inPicture() && brush.changed;
  const brushing = () => inPicture() && brush.tool !== null;
  const choosing = () => inPicture() && pointer.candidates.open;
  const group =
    (name) =>
    (pressed, says, run, when = inPicture) => ({ keys: pressed, says, group: name, when, run });
  const [time, tool, paint, object, picture] = ["Time", "Tools", "Painting", "Object", "Picture"].map(group);
  const page = (pressed, says, run) => ({ keys: pressed, says, group: "Page", run });
  const back = ({ key }, ...those) => (those.includes(key) ? -1 : 1);
  const either = (view) => desk.show(desk.shownView === view ? "annotate" : view);
  return [
    time([" "], "play, pause", (event) => playWhenLetGo(event, stage.pointing, player)),
    time(["Shift+ArrowLeft", "Shift+ArrowRight"], "to the frame that somebody annotated", (event) =>
      navigation.mark(back(event, "ArrowLeft")),
    ),
    time(["ArrowLeft", "ArrowRight"], "a frame back, on", (event) => navigation.step(back(event, "ArrowLeft"))),
    time([",", "."], "", (event) => navigation.step(back(event, ","))),
    time(["Home", "End"], "the first, the last frame", ({ key }) =>
      key === "Home" ? navigation.first() : navigation.last(),
    ),
    time(["<", ">"], "slower, faster", (event) => player.faster(back(event, "<"))),
    time(["u"], "where the model is least sure", () => navigation.unsure()),
    tool(["p"], "a click is yes", () => pointer.choose("yes")),
    tool(["n"], "a click is no", () => pointer.choose("no")),
    tool(["b"], "box", () => pointer.choose("box")),
    tool(["k"], "crosshair: arrow keys move it, Enter clicks", () => pointer.showCrosshair()),
    tool(["c"], "candidates: arrows, Enter takes", () => pointer.candidates.focus(), choosing),
    paint(["d"], "brush", () => pointer.choose("brush")),
    paint(["g"], "outline: what it encircles is filled", () => pointer.choose("outline")),
    paint(["e"], "eraser", () => pointer.choose("eraser")),
    paint(["[", "]"], "smaller, larger", (event) => brush.resize(1.25 ** back(event, "[")), brushing),
    paint(["Enter"], "save what is painted", () => brush.save(), painting),
    object(["a"], "a new object", () => annotating.select(null)),
    object(["1-9"], "select the object of that ID", ({ key }) => navigation.selectNumber(Number(key))),
    object(["ArrowUp", "ArrowDown"], "the object above, below", (event) =>
      navigation.selectBeside(back(event, "ArrowUp")),
    ),
    object(["l"], "its label", () => card.focusLabel()),
    object(["r"], "propagate it", () => propagation.begin(), selected),
    object(["v"], "it is not visible on this frame", () => pointer.absent(), selected),
    object(["Enter"], "phase 1: the next frame without its mask", () => navigation.nextWithout(), inPhase1),
    object(["Delete"], "remove its mask on this frame", () => pointer.removeMask(), hasMask),
    object(["Backspace"], "", () => pointer.removeMask(), hasMask),
    object(["h"], "hide it", () => objects.hide(annotating.selected), selected),
    object(["s"], "show only it", () => objects.only(annotating.selected), selected),
    picture(["+", "-"], "zoom in, out", (event) => stage.zoom(1.4 ** back(event, "-"))),
    picture(["="], "", () => stage.zoom(1.4)),
    picture(["0"], "whole picture", () => stage.fit()),
    page(["z"], "undo your last stroke, or action", () => desk.reverse("undo")),
    page(["Shift+z"], "redo", () => desk.reverse("redo")),
    page(["Ctrl+z"], "", () => desk.reverse("undo")),
    page(["Ctrl+Shift+z", "Ctrl+y"], "", () => desk.reverse("redo")),
    page(["w"], "verify, and back", () => either("verify")),
    page(["x"], "outputs, and back", () => either("outputs")),
    page(["Escape"], "leave what is begun; select nothing", () => desk.escape()),
  ];
}

/** Space plays when it is let go, unless it was held to move the picture. */
function playWhenLetGo(event, pointing, player) {
  if (event.repeat) return;
  const up = (released) => {
    if (released.key !== " ") return;
    window.removeEventListener("keyup", up, true);
    if (!pointing.spaceUsed) player.toggle();
  };
  window.addEventListener("keyup", up, true);
}
