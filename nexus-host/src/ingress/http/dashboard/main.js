// The page: signs somebody in, follows the hub, and lets every panel show what comes. It holds the last minutes and
// nothing older.

import { alerts } from "./alerts.js";
import { approvals } from "./approvals.js";
import { breakers } from "./breakers.js";
import { mark, say } from "./dom.js";
import { duration, setClock } from "./format.js";
import { ask, follow } from "./hub.js";
import { journey } from "./journey.js";
import { latency } from "./latency.js";
import { letters } from "./letters.js";
import { pipeline } from "./pipeline.js";
import { plugins } from "./plugins.js";
import { queue } from "./queue.js";
import { hasKey, signIn, signOut } from "./session.js";
import { summary } from "./summary.js";
import { tail } from "./tail.js";

/** Seconds kept, as many as the charts show. */
const SECONDS = 300;

const at = (id) => document.getElementById(id);

let panels = [];
let seconds = [];
let overview = null;
let isDue = false;
let end = null;

/** Every panel, as somebody finds it who has just signed in. */
function fresh() {
  const way = journey(at("journey"));
  return [
    summary(at("summary")),
    pipeline(at("pipeline")),
    latency(at("latency")),
    queue(at("queue")),
    alerts(at("alerts")),
    approvals(at("approvals"), way),
    letters(at("letters"), way),
    plugins(at("plugins")),
    breakers(at("breakers")),
    tail(at("tail"), way),
    way,
  ];
}

/** Nothing of what was seen stays in the page for whoever looks at it next. */
function clear() {
  end?.();
  for (const panel of panels) panel.stop?.();
  [end, panels, seconds, overview] = [null, [], [], null];
  for (const part of document.querySelectorAll("#panels > section > :not(h2), dialog")) part.remove();
  for (const id of ["version", "announcer"]) say(at(id), "");
  mark(at("panels"), "aria-busy", "true");
}

function begin() {
  clear();
  panels = fresh();
  end = follow("/v1/admin/overview/stream", { message, state });
  for (const panel of panels) panel.start?.();
  for (const id of ["panels", "contents", "sign-out"]) at(id).hidden = false;
  at("sign-in").hidden = true;
}

function leave(why) {
  clear();
  signOut();
  for (const id of ["panels", "contents", "sign-out"]) at(id).hidden = true;
  at("sign-in").hidden = false;
  connection("away", "Not signed in");
  say(at("sign-in-error"), why);
  at("key").value = "";
  at("key").focus();
}

function message({ event, data }) {
  if (!data) return;
  const told = JSON.parse(data);
  if (event === "history") {
    seconds = told.seconds.map(timed);
  } else if (event === "overview") {
    setClock(told.at);
    seconds.push(timed(told.second));
    if (seconds.length > SECONDS) seconds.splice(0, seconds.length - SECONDS);
    overview = told;
    say(at("version"), told.hub.version);
    paintSoon();
  }
}

function timed(second) {
  return { ...second, time: Date.parse(second.at) };
}

/** Painted once a frame, and while nobody sees the page, when somebody does again. */
function paintSoon() {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    // Somebody has signed out meanwhile.
    if (!overview) return;
    for (const panel of panels) panel.update(overview, seconds);
    mark(at("panels"), "aria-busy", "false");
  });
}

function state(now, about) {
  if (now === "refused") {
    leave(about.isAboutKey ? about.message : `The hub refuses: ${about.message}`);
    return;
  }
  const words = {
    live: "Live",
    connecting: "Connecting…",
    away: `Disconnected. What is shown is old; next try in ${duration(about)}.`,
  };
  connection(now, words[now]);
}

function connection(state, words) {
  mark(at("connection"), "data-state", state);
  mark(document.body, "data-connection", state);
  say(at("connection"), words);
}

at("sign-in-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  say(at("sign-in-error"), "");
  const key = at("key").value.trim();
  // Anything else no header can hold.
  if (!/^[\x21-\x7e]+$/.test(key)) {
    leave("This is no key: there is a space in it, or what no key holds.");
    return;
  }
  signIn(key, at("keep").checked);
  try {
    await ask("/v1/admin/queue");
  } catch (refused) {
    leave(refused.message);
    // It may be the right one; the hub has not said.
    if (refused.status === 0) at("key").value = key;
    return;
  }
  at("key").value = "";
  begin();
  at("main").focus({ preventScroll: true });
});
at("sign-out").addEventListener("click", () => leave(""));

if (hasKey()) begin();
else leave("");
