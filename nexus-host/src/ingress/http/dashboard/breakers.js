// Breakers: which systems are left alone for a while, and a hand on each.

import { announce, button, confirm, either, empty, h, keyed, mark, say, show } from "./dom.js";
import { ago, count, duration, others, words } from "./format.js";
import { ask } from "./hub.js";

const TONES = { closed: "good", half_open: "warn", open: "bad" };

export function breakers(section) {
  const list = h("ul", { class: "items" });
  const none = empty("No breakers: no integration was called yet.");
  const more = h("p", { class: "soft" });
  section.append(list, none, more);
  return {
    update({ breakers }) {
      either(list, none, breakers.list.length > 0);
      say(more, others(breakers.left_out));
      keyed(list, breakers.list, (one) => one.name, breaker);
    },
  };
}

function breaker({ name }) {
  const [state, told, error] = [h("span", { class: "state" }), h("p", { class: "soft" }), h("p", { class: "error", role: "alert" })];
  const change = async (what) => {
    try {
      await ask(`/v1/admin/breakers/${name.split("/").map(encodeURIComponent).join("/")}/${what}`, { method: "POST" });
      say(error, "");
      announce(`The breaker of ${name} is ${what === "open" ? "held open" : "closed"}.`);
    } catch (refused) {
      say(error, refused.message);
    }
  };
  const hold = button("Hold open", async () => {
    const text = `Nothing is sent to ${name} until somebody closes it again; what is meant for it waits.`;
    if (await confirm("Hold this breaker open?", text, "Hold open")) change("open");
  }, { "aria-label": `Hold the breaker of ${name} open` });
  const close = button("Close", () => change("close"), { "aria-label": `Close the breaker of ${name}` });
  return {
    node: h("li", {}, h("h3", {}, name, " ", state), told, h("div", { class: "buttons" }, hold, close), error),
    update(one) {
      say(state, one.held ? "held open" : words(one.state));
      mark(state, "data-tone", TONES[one.state] ?? "bad");
      const parts = [`since ${ago(one.since)}`, `opened ${count(one.times_opened)} times`];
      if (one.failures) parts.push(`${count(one.failures)} failures lately`);
      if (one.probe_in_ms !== undefined) parts.push(`tried again in ${duration(one.probe_in_ms / 1000)}`);
      say(told, parts.join(" · "));
      show(close, one.state !== "closed");
      show(hold, !one.held);
    },
  };
}
