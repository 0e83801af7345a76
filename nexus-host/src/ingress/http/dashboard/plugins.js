// Plugins and files, how they stand, and how their parts are called.

import { either, empty, h, keyed, mark, say, table } from "./dom.js";
import { ago, count, duration, others, rate, words } from "./format.js";

const TONES = { ready: "good", starting: "warn", degraded: "warn", stopped: "", stopping: "" };

export function plugins(section) {
  const plugins = table("Plugins and their states", [
    ["Plugin"], ["State"], ["Runs"], ["Since"], ["Restarts", "number"], ["Panics", "number"],
  ]);
  const parts = table("Processors and integrations that were called", [
    ["Part"], ["Kind"], ["Calls", "number"], ["Median", "number"], ["p99", "number"], ["Failed", "number"],
    ["Tried again", "number"], ["Held back", "number"],
  ]);
  const none = empty("No plugins. Put one into the plugins folder, and it is found.");
  const uncalled = empty("Nothing was called yet.");
  const [more, moreParts] = [h("p", { class: "soft" }), h("p", { class: "soft" })];
  section.append(plugins.table, none, more, h("h3", {}, "How they are called"), parts.table, uncalled, moreParts);
  return {
    update(overview) {
      either(plugins.table, none, overview.plugins.list.length > 0);
      keyed(plugins.body, overview.plugins.list, identity, plugin);
      say(more, others(overview.plugins.left_out));
      const kinds = [["processor", overview.processors], ["integration", overview.integrations]];
      const called = kinds.flatMap(([kind, listed]) => listed.list.map((one) => ({ ...one, kind })));
      either(parts.table, uncalled, called.length > 0);
      keyed(parts.body, called, (one) => `${one.kind} ${one.name}`, part);
      say(moreParts, others(overview.processors.left_out + overview.integrations.left_out));
    },
  };
}

/** One plugin may be there more than once: one file that runs, and others that do not. */
function identity(one) {
  return JSON.stringify([one.id, one.version, one.origin]);
}

/** A file that could not be read has no name of its own. */
function nameOf(one) {
  return one.id ?? String(one.origin?.path ?? "a file").split(/[\\/]/).pop();
}

function plugin(one) {
  const state = h("span", { class: "state" });
  const reason = h("small", { class: "reason" });
  const [runs, since] = [h("td", {}), h("td", {})];
  const [restarts, panics] = [h("td", { class: "number" }), h("td", { class: "number" })];
  const name = h("th", { scope: "row" }, nameOf(one), " ", h("small", {}, one.version ?? ""),
    h("small", { class: "reason" }, one.description ?? ""));
  return {
    node: h("tr", {}, name, h("td", {}, state, reason), runs, since, restarts, panics),
    update(one) {
      say(state, words(one.state));
      mark(state, "data-tone", TONES[one.state] ?? "bad");
      say(reason, [one.reason, one.help].filter(Boolean).join("; "));
      say(runs, words(one.isolation));
      say(since, ago(one.since));
      say(restarts, count(one.restarts));
      say(panics, count(one.panics));
    },
  };
}

function part({ name, kind }) {
  const cells = Array.from({ length: 6 }, () => h("td", { class: "number" }));
  return {
    node: h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, kind), cells),
    update(one) {
      const failed = one.results.find((result) => result.result === "failed");
      const told = [
        `${rate(one.per_second)}/s`, duration(one.p50_seconds), duration(one.p99_seconds),
        failed ? `${rate(failed.per_second)}/s · ${count(failed.total)}` : "0", count(one.retried), count(one.held),
      ];
      told.forEach((text, i) => say(cells[i], text));
      mark(cells[3], "data-tone", failed?.per_second > 0 ? "bad" : "");
    },
  };
}
