// The queue: how full it is, who waits, and for how long.

import { either, empty, h, keyed, mark, say, table } from "./dom.js";
import { bytes, count, duration, rate } from "./format.js";

const FIGURES = [
  ["Under way", (q) => count(q.leased)],
  ["Lanes under way", (q) => count(q.lanes)],
  ["For a later time", (q) => count(q.delayed)],
  ["Oldest", (q) => duration(q.oldest_seconds)],
  ["Payloads", (q) => bytes(q.payload_bytes)],
  ["On disk", (q) => (q.storage ? bytes(q.storage.file_bytes + q.storage.log_bytes) : "in memory")],
];

export function queue(section) {
  const meter = h("meter", { min: 0, max: 1, high: 0.8, optimum: 0, "aria-labelledby": "queue-fill" });
  const fill = h("p", { id: "queue-fill" });
  const trouble = h("p", { class: "error", hidden: true });
  const { table: waiting, body } = table("Events that wait, by priority", [
    ["Priority"], ["Waiting", "number"], ["Taken up", "number"], ["Median", "number"], ["p99", "number"],
  ]);
  const { table: lanes, body: fullest } = table("Lanes in which most waits", [
    ["Lane"], ["Waiting", "number"], ["Now"],
  ]);
  const none = empty("Nothing waits in a lane.");
  const values = FIGURES.map(() => h("dd", {}));
  const figures = h("dl", { class: "figures" }, FIGURES.map(([name], i) => h("div", {}, h("dt", {}, name), values[i])));
  section.append(trouble, fill, meter, waiting, figures, h("h3", {}, "Lanes in which most waits"), lanes, none);

  return {
    update({ queue, waits }) {
      const taken = queue.depth - queue.parked;
      say(fill, `${count(taken)} of ${count(queue.capacity)} places taken`
        + (queue.parked ? `, and ${count(queue.parked)} events that only wait for their time` : ""));
      meter.value = taken / queue.capacity;
      trouble.hidden = !queue.trouble;
      say(trouble, queue.trouble);
      FIGURES.forEach(([, of], i) => say(values[i], of(queue)));
      const rows = queue.waiting.map((one) => ({
        ...one, ...waits.find((wait) => wait.priority === one.priority), most: queue.depth,
      }));
      keyed(body, rows, (one) => one.priority, row);
      either(lanes, none, queue.fullest_lanes.length > 0);
      keyed(fullest, queue.fullest_lanes, (one) => one.lane, lane);
    },
  };
}

function lane({ lane }) {
  const [waiting, now] = [h("td", { class: "number" }), h("td", {})];
  return {
    node: h("tr", {}, h("th", { scope: "row" }, lane), waiting, now),
    update(one) {
      say(waiting, count(one.waiting));
      say(now, one.is_busy ? "under way" : "its turn comes");
    },
  };
}

function row({ priority }) {
  const cells = Array.from({ length: 4 }, () => h("td", { class: "number" }));
  const node = h("tr", {}, h("th", { scope: "row" }, priority), cells);
  return {
    node,
    update(one) {
      mark(node, "data-busy", one.events > 0);
      const told = [count(one.events), `${rate(one.per_second)}/s`, duration(one.p50_seconds), duration(one.p99_seconds)];
      told.forEach((text, i) => say(cells[i], text));
    },
  };
}
