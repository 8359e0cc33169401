// The page begins here: it connects, learns what the desk is over, and hands over.

import { Connection, Lost } from "./connection.js";
import { Labels } from "./labels.js";
import { Notices } from "./notices.js";
import { Settings } from "./settings.js";
import { Shell } from "./shell.js";
import { Shortcuts } from "./shortcuts.js";
import { Stage } from "./stage.js";
import { Theme } from "./theme.js";

const MODES = {
  live: () => import("./live/desk.js"),
  recorded: () => import("./recorded/annotation.js"),
};

const GOES_ON = {
  live: "What is tracked goes on.",
  recorded: "Everything that was answered is stored.",
};

const shell = new Shell();
const connection = new Connection();
const settings = new Settings();
new Theme(settings); // before anything is drawn
const stage = new Stage(shell.stage);
const notices = new Notices(document.getElementById("notices"));
const parts = {
  connection,
  shell,
  stage,
  notices,
  settings,
  labels: new Labels(settings),
  shortcuts: new Shortcuts(),
};

/** What tests and people with a console can look at; `shown` is {camera, stamp} or {frame}. */
window.desk = { mode: null, connected: false, shown: null, ...parts };

let desk = null;
let lost = null;

connection.on("open", () => {
  window.desk.connected = true;
  document.body.classList.remove("is-lost");
  if (lost) notices.say("Connected again.");
  lost?.();
  lost = null;
});

connection.on("lost", (reason) => {
  window.desk.connected = false;
  document.body.classList.add("is-lost");
  const why = reason ? `: ${reason}` : "";
  lost ??= sayLost(`The connection to the desk is lost${why}. Trying again. ${GOES_ON[window.desk.mode] ?? ""}`);
});

window.addEventListener("unhandledrejection", (event) => {
  if (event.reason instanceof Lost) event.preventDefault(); // it is said already, and what is shown is asked for again
});

connection.on("barred", (why) => {
  lost?.();
  lost = sayLost(why);
});

/** Says it until the page is connected again; returns what ends it. */
function sayLost(text) {
  const run = () => {
    lost = null;
    connection.open();
  };
  return notices.keep(text, { action: { name: "Try now", run } });
}

connection.on("hello", async (hello) => {
  if (!desk) {
    connection.hold();
    desk = await (await MODES[hello.mode]()).start({ ...parts, hello });
    window.desk.mode = hello.mode;
  } else if (hello.mode !== window.desk.mode) window.location.reload(); // another desk on the same port
  desk.greeted(hello);
  connection.proceed();
});

connection.open();
