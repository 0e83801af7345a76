// The live tail: accepted events as they come, so many at most; what is left out is counted and said.

import { button, either, empty, h, say, table } from "./dom.js";
import { clock, count } from "./format.js";
import { follow } from "./hub.js";

/** Rows kept. */
const ROWS = 200;

/** Events a second that the hub is asked for at most. */
const MOST = 20;

export function tail(section, { open }) {
  const type = h("input", { id: "tail-type", type: "text", placeholder: "mail.*", autocomplete: "off", spellcheck: "false" });
  const source = h("input", { id: "tail-source", type: "text", placeholder: "outlook.*", autocomplete: "off", spellcheck: "false" });
  const pause = button("Pause", () => (end ? stop("Paused.") : start()), { id: "tail-pause" });
  const clear = button("Clear", () => (rows.splice(0), (leftOut = 0), paint()), { class: "quiet" });
  const form = h(
    "form",
    { class: "filters", onsubmit: (event) => (event.preventDefault(), start()) },
    h("div", {}, h("label", { for: type.id }, "Type"), type),
    h("div", {}, h("label", { for: source.id }, "Source"), source),
    h("button", { type: "submit" }, "Follow"),
    pause,
    clear,
  );
  const told = h("p", { class: "soft" });
  const error = h("p", { class: "error", role: "alert" });
  const { table: shown, body } = table("Accepted events, the newest first", [
    ["Time"], ["Type"], ["Source"], ["Priority"], ["Event"],
  ]);
  const none = empty("No event has come since this page follows.");
  section.append(form, told, error, shown, none);

  /** What waits to be painted, the newest last. */
  const rows = [];
  let [end, leftOut, isDue, state] = [null, 0, false, ""];

  function start() {
    end?.();
    const query = new URLSearchParams({ most: MOST });
    if (type.value.trim()) query.set("type", type.value.trim());
    if (source.value.trim()) query.set("source", source.value.trim());
    end = follow(`/v1/events/stream?${query}`, { message, state: changed });
    say(pause, "Pause");
    say(error, "");
  }

  function stop(told) {
    end?.();
    end = null;
    say(pause, "Go on");
    state = told;
    paint();
  }

  function changed(now, about) {
    state = { live: "Following.", connecting: "Connecting…", away: "Disconnected; trying again." }[now] ?? "";
    if (now === "refused") {
      say(error, about.message);
      stop("Not following.");
    }
    paintSoon();
  }

  function message({ data, comment }) {
    const left = comment && /^(?:missed|left out) (\d+) events/.exec(comment);
    if (left) leftOut += Number(left[1]);
    if (data) {
      rows.push(row(JSON.parse(data), open));
      if (rows.length > ROWS) rows.shift();
    }
    paintSoon();
  }

  /** However much comes, it is painted once a frame, and while nobody sees it, later. */
  function paintSoon() {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => ((isDue = false), paint()));
  }

  function paint() {
    say(told, `${state} ${leftOut ? `${count(leftOut)} events were left out: at most ${MOST} a second are shown.` : ""}`);
    const held = body.contains(document.activeElement) ? document.activeElement : null;
    body.replaceChildren(...rows.toReversed());
    if (held?.isConnected) held.focus({ preventScroll: true });
    either(shown, none, rows.length > 0);
  }

  return { update: () => {}, start, stop: () => (end?.(), (end = null)) };
}

function row(event, open) {
  return h(
    "tr",
    {},
    h("td", {}, h("time", { datetime: event.timestamp }, clock(event.timestamp))),
    h("td", {}, event.type),
    h("td", {}, event.source),
    h("td", {}, event.priority ?? "normal"),
    h("td", {}, button(event.event_id.slice(-12), () => open(event.event_id, event.source), {
      class: "link", "aria-label": `Journey of ${event.type}, ${event.event_id}`,
    })),
  );
}
