// One event's way through the hub, as a line of time.

import { announce, h, say, svg } from "./dom.js";
import { clock, duration, words } from "./format.js";
import { ask } from "./hub.js";

/** Between two looks at an event that is still under way, in milliseconds. */
const OFTEN = 1_000;

/** So often at most: an event may wait for days. */
const LOOKS = 120;

const TONES = {
  accepted: "good", delivered: "good", processed: "good", answered: "good", finished: "good", parked: "warn",
  flagged: "warn", expired: "warn", unrouted: "warn", processor_failed: "bad", delivery_failed: "bad", dead: "bad",
};

export function journey(section) {
  const input = h("input", {
    id: "journey-id", type: "text", autocomplete: "off", spellcheck: "false", placeholder: "the event’s id", required: true,
  });
  const form = h(
    "form",
    { class: "filters", onsubmit: (event) => (event.preventDefault(), open(input.value.trim())) },
    h("div", { class: "long" }, h("label", { for: input.id }, "Event"), input),
    h("button", { type: "submit" }, "Show"),
  );
  const error = h("p", { class: "error", role: "alert" });
  const shown = h("div", { class: "journey" }, h("p", { class: "empty" },
    "Choose an event of the live tail, a dead letter or an approval; or enter its id."));
  section.append(form, error, shown);
  let [timer, turn, drawnAs] = [0, 0, ""];

  async function look(id, source, looks, mine) {
    const again = () => {
      if (looks < LOOKS) timer = setTimeout(() => look(id, source, looks + 1, mine), OFTEN);
    };
    try {
      const query = source ? `?${new URLSearchParams({ source })}` : "";
      const told = await ask(`/v1/events/${encodeURIComponent(id)}${query}`);
      // Another event was chosen since.
      if (mine !== turn) return null;
      say(error, "");
      paint(told);
      if (told.status !== "processed" && told.status !== "dead") again();
      return told;
    } catch (refused) {
      if (mine !== turn) return null;
      say(error, refused.message);
      // What is known of it stays there while the hub is away.
      if (refused.status === 0 && drawnAs.includes(id)) again();
      else clear();
      return null;
    }
  }

  /** Draws it, unless it looks like that already: whoever reads it, or is on one of its buttons, stays there. */
  function paint(told) {
    const text = JSON.stringify(told);
    if (text === drawnAs) return;
    drawnAs = text;
    shown.replaceChildren(...drawn(told, (id) => open(id)));
  }

  function clear() {
    drawnAs = "";
    shown.replaceChildren();
  }

  async function open(id, source) {
    input.value = id;
    clearTimeout(timer);
    const mine = ++turn;
    const told = await look(id, source, 0, mine);
    if (mine !== turn) return;
    section.scrollIntoView({ block: "start" });
    section.querySelector("h2").focus({ preventScroll: true });
    if (told) announce(`Journey of ${told.type}: ${told.status}.`);
  }
  return { update: () => {}, open, stop: () => (clearTimeout(timer), (turn += 1)) };
}

function drawn(told, open) {
  const begin = Date.parse(told.accepted_at);
  const end = Date.parse(told.finished_at ?? told.steps.at(-1)?.at ?? told.accepted_at);
  const status = h("span", { class: "state", "data-tone": { processed: "good", dead: "bad" }[told.status] ?? "warn" }, told.status);
  const facts = [
    ["Source", told.source],
    ["Accepted", clock(told.accepted_at)],
    ["Took", told.finished_at ? duration((end - begin) / 1000) : "under way"],
    ["Belongs to", told.correlation_id],
  ].filter(([, value]) => value);
  const cause = told.causation_id && h("div", {}, h("dt", {}, "Caused by"),
    h("dd", {}, h("button", { type: "button", class: "link", onclick: () => open(told.causation_id) }, told.causation_id)));
  return [
    h("h3", {}, told.type, " ", status),
    h("dl", { class: "figures" }, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))), cause || null),
    line(told.steps, begin, end),
    h("ol", { class: "timeline" }, told.steps.map((step) => item(step, begin, open))),
  ];
}

/** Where the steps are between the first and the last. */
function line(steps, begin, end) {
  const place = (at) => (end > begin ? ((Date.parse(at) - begin) / (end - begin)) * 980 + 10 : 10);
  const dots = steps.map((step) => svg("circle", { cx: place(step.at), cy: 12, r: 6, "data-tone": TONES[step.step] ?? "" }));
  return svg("svg", { class: "span", viewBox: "0 0 1000 24", "aria-hidden": "true" }, svg("path", { d: "M10 12H990" }), dots);
}

function item({ at, step, ...about }, begin, open) {
  const after = (Date.parse(at) - begin) / 1000;
  return h(
    "li",
    { "data-tone": TONES[step] ?? "" },
    h("time", { datetime: at, title: clock(at) }, after < 0.001 ? "at once" : `+ ${duration(after)}`),
    h("div", {}, h("b", {}, words(step)), " ", h("span", {}, sentence(step, about)), followed(about, open)),
  );
}

function followed(about, open) {
  if (!about.event_id) return null;
  return h("button", { type: "button", class: "link", onclick: () => open(about.event_id) }, "its journey");
}

/** What a step says besides its name: everything, so that nothing is lost when the hub learns new words. */
function sentence(step, { event_id, ...about }) {
  const { processor, integration, message, reason, summary, because, ...others } = about;
  const who = processor ?? integration;
  const why = message ?? reason ?? summary ?? because;
  const rest = Object.entries(others).map(([name, value]) =>
    name.endsWith("_ms")
      ? `${words(name.slice(0, -3))} ${duration(value / 1000)}`
      : `${words(name)} ${typeof value === "object" ? JSON.stringify(value) : value}`,
  );
  return [who, why, ...rest].filter(Boolean).join(" · ");
}
