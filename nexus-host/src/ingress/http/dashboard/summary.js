// The hub in one line: six figures, each a way to its panel.

import { h, mark, say } from "./dom.js";
import { bytes, count, duration, rate, words } from "./format.js";

const FIGURES = [
  ["Hub", "#plugins", (o) => [words(o.hub.status), `up ${duration(o.hub.uptime_seconds)}`, state(o)]],
  ["Events a second", "#pipeline", (o) => [rate(o.second.accepted), `${rate(o.second.finished)} finished`]],
  ["In the queue", "#queue", (o) => [count(o.queue.depth), `room for ${count(o.queue.capacity)}`, fill(o)]],
  ["End to end", "#latency", (o) => [duration(o.second.end_to_end.p50_seconds), p99(o)]],
  ["Alerts", "#alerts", (o) => [count(total(o.alerts)), "active", total(o.alerts) ? "bad" : ""]],
  ["Approvals", "#approvals", (o) => [count(o.approvals_pending), "to answer", o.approvals_pending ? "warn" : ""]],
  ["Dead letters", "#letters", (o) => [count(o.queue.dead_letters), "kept", o.queue.dead_letters ? "warn" : ""]],
  ["Cores busy", "#pipeline", (o) => [o.second.cpu === undefined ? "–" : o.second.cpu.toFixed(2), memory(o)]],
];

const total = (listed) => listed.list.length + listed.left_out;
const p99 = (o) => `p99 ${duration(o.second.end_to_end.p99_seconds)}`;
const memory = (o) => (o.hub.memory_bytes ? `${bytes(o.hub.memory_bytes)} of memory` : "");
const fill = (o) => ((o.queue.depth - o.queue.parked) / o.queue.capacity > 0.8 ? "bad" : "");
const state = (o) => ({ ready: "good", degraded: "warn" })[o.hub.status] ?? "bad";

export function summary(section) {
  const tiles = FIGURES.map(([name, href, of]) => {
    const [value, beside] = [h("b", {}), h("small", {})];
    const tile = h("a", { class: "tile", href }, h("span", {}, name), value, beside);
    return { tile, value, beside, of };
  });
  section.append(...tiles.map((one) => one.tile));
  return {
    update(overview) {
      for (const { tile, value, beside, of } of tiles) {
        const [told, more, tone = ""] = of(overview);
        say(value, told);
        say(beside, more);
        mark(tile, "data-tone", tone);
      }
    },
  };
}
