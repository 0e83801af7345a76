// Times and rates of the last minutes.

import { chart } from "./chart.js";
import { h } from "./dom.js";
import { duration, rate } from "./format.js";

const times = (part) => [
  { name: "median", kind: "first", of: (second) => second[part].p50_seconds },
  { name: "p90", kind: "second", of: (second) => second[part].p90_seconds },
  { name: "p99", kind: "third", of: (second) => second[part].p99_seconds },
];

export function latency(section) {
  const charts = [
    chart({ title: "From end to end", lines: times("end_to_end"), format: duration, isLog: true }),
    chart({ title: "Wait in the queue", lines: times("wait"), format: duration, isLog: true }),
    chart({
      title: "Events a second",
      format: rate,
      lines: [
        { name: "accepted", kind: "first", of: (second) => second.accepted },
        { name: "finished", kind: "second", of: (second) => second.finished },
        { name: "refused", kind: "third", of: (second) => second.refused },
      ],
    }),
  ];
  section.append(h("div", { class: "charts" }, charts.map((one) => one.figure)));
  return { update: (_, seconds) => charts.forEach((one) => one.update(seconds)) };
}
