// The way of an event, stage by stage, with what passes and how long it takes. It is a list, so that it can be read
// out; the arrows between say how much passes.

import { h, keyed, mark, say, svg } from "./dom.js";
import { count, duration, rate, words } from "./format.js";

/** Lines in one stage. */
const MOST = 5;

const STAGES = [
  { key: "doors", name: "Doors", unit: "a second", of: doors },
  { key: "admission", name: "Admission", unit: "admitted a second", of: admission },
  { key: "queue", name: "Queue", unit: "waiting or under way", of: queue },
  { key: "dispatch", name: "Dispatch", unit: "under way", of: dispatch },
  { key: "processors", name: "Processors", unit: "calls a second", of: (o) => components(o.processors) },
  { key: "integrations", name: "Integrations", unit: "calls a second", of: (o) => components(o.integrations) },
];

export function pipeline(section) {
  const stages = STAGES.map(stage);
  section.append(h("ol", { class: "pipeline" }, stages.map((one) => one.node)));
  return { update: (overview) => stages.forEach((one) => one.update(overview)) };
}

function stage({ key, name, unit, of }, place) {
  const [value, lines] = [h("b", {}), h("ul", {})];
  const flow = svg("path", { d: "M0 10H32", class: "flow" });
  const arrow = svg(
    "svg",
    { class: "arrow", viewBox: "0 0 40 20", width: 40, height: 20, "aria-hidden": "true" },
    flow,
    svg("path", { d: "M31 5 38 10 31 15", class: "head" }),
  );
  const node = h(
    "li",
    { "data-stage": key },
    place > 0 ? arrow : null,
    h("div", { class: "stage" }, h("h3", {}, name), h("p", {}, value, " ", h("small", {}, unit)), lines),
  );
  return {
    node,
    update(overview) {
      const told = of(overview);
      say(value, told.value);
      mark(flow, "data-pace", told.pace === 0 ? "still" : told.pace < 50 ? "slow" : "fast");
      mark(node, "data-tone", told.tone ?? "");
      const shown = told.lines.slice(0, MOST);
      if (told.lines.length > MOST) shown.push([`${told.lines.length - MOST} more`, ""]);
      keyed(lines, shown, ([what]) => what, line);
    },
  };
}

function line() {
  const [what, told] = [h("span", {}), h("span", { class: "number" })];
  return {
    node: h("li", {}, what, " ", told),
    update([name, value]) {
      say(what, name);
      say(told, value);
    },
  };
}

const sum = (results) => results.reduce((all, one) => all + one.per_second, 0);

function doors(o) {
  const lines = o.doors.map((one) => [one.door, `${rate(sum(one.results))}/s`]);
  for (const [listener, open] of Object.entries(o.hub.connections)) lines.push([`${listener} connections`, count(open)]);
  const all = o.doors.reduce((all, one) => all + sum(one.results), 0);
  return { value: rate(all), pace: 0, lines };
}

function admission(o) {
  const by = new Map();
  for (const { results } of o.doors) {
    for (const one of results) by.set(one.result, (by.get(one.result) ?? 0) + one.per_second);
  }
  const others = [...by].filter(([result]) => result !== "accepted").sort((a, b) => b[1] - a[1]);
  return {
    value: rate(by.get("accepted") ?? 0),
    pace: sum(o.doors.flatMap((one) => one.results)),
    lines: others.map(([result, each]) => [words(result), `${rate(each)}/s`]),
  };
}

function queue(o) {
  const wait = o.second.wait;
  return {
    value: count(o.queue.depth),
    pace: o.second.accepted,
    tone: o.queue.trouble ? "bad" : "",
    lines: [
      ["wait, median", duration(wait.p50_seconds)],
      ["wait, p99", duration(wait.p99_seconds)],
      ["oldest", duration(o.queue.oldest_seconds)],
      ["for a later time", count(o.queue.delayed)],
    ],
  };
}

function dispatch(o) {
  return {
    value: count(o.queue.leased),
    pace: o.second.wait.per_second,
    lines: [
      ["taken up", `${rate(o.second.wait.per_second)}/s`],
      ["finished", `${rate(o.second.finished)}/s`],
      ["given up", `${rate(o.second.died)}/s`],
      ["end to end, p99", duration(o.second.end_to_end.p99_seconds)],
    ],
  };
}

function components(listed) {
  const all = listed.list.reduce((all, one) => all + one.per_second, 0);
  const busiest = [...listed.list].sort((a, b) => b.per_second - a.per_second);
  const failing = listed.list.some((one) => one.results.some((r) => r.result === "failed" && r.per_second > 0));
  return {
    value: rate(all),
    pace: all,
    tone: failing ? "bad" : "",
    lines: busiest.map((one) => [one.name, `${rate(one.per_second)}/s · ${duration(one.p99_seconds)}`]),
  };
}
