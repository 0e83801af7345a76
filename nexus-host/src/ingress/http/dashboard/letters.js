// Dead letters: what was given up, why, and once more.

import { announce, button, confirm, either, empty, h, keyed, say, show, table } from "./dom.js";
import { ago, clock, count, words } from "./format.js";
import { ask } from "./hub.js";

/** Letters in one part of the list, and the most that are shown. */
const PART = 25;
const MOST = 200;

/** Between two looks, in milliseconds, when their number has changed. */
const OFTEN = 2_000;

const CONDITIONS = [
  ["type", "Type", "mail.*"],
  ["source", "Source", "outlook.*"],
  ["integration", "Integration", "toasty/desktop"],
  ["reason", "Reason", "retries_exhausted"],
];

export function letters(section, { open }) {
  const inputs = CONDITIONS.map(([name, , like]) =>
    h("input", { id: `letters-${name}`, type: "text", placeholder: like, autocomplete: "off", spellcheck: "false" }));
  const form = h(
    "form",
    { class: "filters", onsubmit: (event) => (event.preventDefault(), look(true)) },
    CONDITIONS.map(([, label], i) => h("div", {}, h("label", { for: inputs[i].id }, label), inputs[i])),
    h("button", { type: "submit" }, "Filter"),
  );
  const { table: shown, body } = table("Dead letters, oldest first", [
    ["Event"], ["Given up"], ["Why"], ["Attempts", "number"], ["Actions"],
  ]);
  const none = empty("No dead letters.");
  const error = h("p", { class: "error", role: "alert" });
  const left = h("p", { class: "soft" });
  const more = button("Show more", () => look(false));
  const all = button("Replay all that match…", replayAll);
  section.append(form, error, shown, none, left, h("div", { class: "buttons" }, more, all));

  let list = [];
  let next = null;
  let [looked, known, turn, isLooking] = [-Infinity, -1, 0, false];

  function conditions() {
    const filled = CONDITIONS.map(([name], i) => [name, inputs[i].value.trim()]).filter(([, value]) => value);
    return Object.fromEntries(filled);
  }

  async function look(fromTheBeginning) {
    const mine = ++turn;
    isLooking = true;
    looked = performance.now();
    try {
      const query = new URLSearchParams({ ...conditions(), limit: fromTheBeginning ? Math.max(PART, list.length) : PART });
      if (!fromTheBeginning && next) query.set("after", next);
      const part = await ask(`/v1/admin/dead-letters?${query}`, { revive: exact });
      // What was asked for since is what counts.
      if (mine !== turn) return;
      list = (fromTheBeginning ? [] : list).concat(part.dead_letters).slice(0, MOST);
      next = part.next ?? null;
      paint();
      say(error, "");
    } catch (refused) {
      if (mine !== turn) return;
      known = -1;
      say(error, refused.message);
    }
    isLooking = false;
  }

  function paint() {
    keyed(body, list, (one) => one.id, (one) => letter(one, { open, replay }));
    either(shown, none, list.length > 0);
    say(none, Object.keys(conditions()).length ? "No dead letter matches." : "No dead letters.");
    show(more, next !== null && list.length < MOST);
    show(all, list.length > 0);
    say(left, next !== null && list.length >= MOST ? `These are the first ${MOST}: a filter finds others.` : "");
  }

  async function change(body) {
    try {
      const changed = await ask("/v1/admin/dead-letters/replay", { method: "POST", body });
      // What dies once more leaves as many as there were.
      known = -1;
      say(error, "");
      return changed;
    } catch (refused) {
      say(error, refused.message);
      return null;
    }
  }

  async function replay(one) {
    const text = `The work of ${one.event.type} is done once more, with every attempt it has left behind.`;
    if (!(await confirm("Replay this dead letter?", text, "Replay"))) return;
    if (await change({ ids: [one.id] })) {
      announce("It is taken up once more.");
      await look(true);
    }
  }

  async function replayAll() {
    const wanted = conditions();
    const body = Object.keys(wanted).length ? wanted : { all: true };
    const planned = await change({ ...body, dry_run: true });
    if (!planned) return;
    const letters = `${planned.more ? "the first " : ""}${count(planned.replayed.length)} dead letters`;
    if (!(await confirm(`Replay ${letters}?`, "Their work is done once more.", "Replay all"))) return;
    if (await change(body)) {
      announce(`${letters} are taken up once more.`);
      await look(true);
    }
  }

  return {
    update({ queue, second }) {
      if (second.died > 0) known = -1;
      if (isLooking || queue.dead_letters === known || performance.now() - looked < OFTEN) return;
      known = queue.dead_letters;
      look(true);
    },
  };
}

/** A number as it was written: a payload is shown as it is, also where this page's numbers are not that exact. */
function exact(_, value, context) {
  const isInexact = typeof value === "number" && context?.source !== undefined && String(value) !== context.source;
  return isInexact && JSON.rawJSON ? JSON.rawJSON(context.source) : value;
}

function letter(one, { open, replay }) {
  const what = one.integration ?? one.processor ?? "routing";
  const errors = one.errors.map((each) =>
    h("li", {}, h("time", { datetime: each.at }, clock(each.at)), " ", h("code", {}, each.code), " ", each.message));
  const details = h(
    "details",
    {},
    h("summary", {}, "Details"),
    h("p", {}, `${what}, of the event `, h("code", {}, one.event.event_id)),
    errors.length ? h("ol", { class: "errors" }, errors) : h("p", { class: "soft" }, "Nothing was tried."),
    h("pre", { tabindex: "0", role: "group", "aria-label": "Payload" }, JSON.stringify(one.event.payload, null, 2)),
  );
  const since = h("td", {});
  return {
    node: h(
      "tr",
      {},
      h("th", { scope: "row" }, one.event.type, h("small", { class: "reason" }, one.event.source), details),
      since,
      h("td", {}, words(one.reason), h("small", { class: "reason" }, what)),
      h("td", { class: "number" }, count(one.attempts)),
      h("td", { class: "buttons" },
        button("Replay", () => replay(one), { "aria-label": `Replay ${one.event.type} of ${what}` }),
        button("Journey", () => open(one.event.event_id, one.event.source), {
          class: "quiet", "aria-label": `Journey of ${one.event.type}`,
        })),
    ),
    update: (one) => say(since, ago(one.at)),
  };
}
