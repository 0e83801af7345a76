// A chart of the last minutes: lines over time, drawn anew in the same elements, so that it never grows.

import { h, mark, say, svg } from "./dom.js";
import { now } from "./format.js";

/** How far back it reaches, in milliseconds. */
const REACH = 5 * 60 * 1000;

const HEIGHT = 190;
const EDGE = { left: 58, right: 10, top: 10, bottom: 24 };

/** How many values have a line at most. */
const MOST_STEPS = 6;

/** Values that are further apart than this are not joined, in milliseconds. */
const GAP = 2_500;

/**
 * A chart of `lines`: `{ name, of, kind }`, where `of` takes a second's value out of it. With `isLog` times of all sizes
 * have room.
 */
export function chart({ title, lines, format, isLog = false }) {
  const paths = lines.map((line) => svg("path", { class: `line ${line.kind}`, fill: "none" }));
  const rules = Array.from({ length: MOST_STEPS }, () => svg("path", { class: "rule" }));
  const words = Array.from({ length: MOST_STEPS + 2 }, () => svg("text"));
  const drawing = svg(
    "svg",
    { class: "chart", height: HEIGHT, role: "img", "aria-label": title },
    rules,
    words,
    paths,
  );
  const values = lines.map(() => h("b", {}));
  const legend = h(
    "ul",
    { class: "legend" },
    lines.map((line, i) =>
      h("li", {}, svg("svg", { width: 22, height: 8, "aria-hidden": "true" },
        svg("path", { class: `line ${line.kind}`, d: "M1 4H21" })), ` ${line.name} `, values[i])),
  );
  const figure = h("figure", {}, h("figcaption", {}, title), drawing, legend);

  let width = 0;
  let seconds = [];
  new ResizeObserver(([entry]) => {
    width = Math.round(entry.contentRect.width);
    paint();
  }).observe(drawing);

  function update(latest) {
    seconds = latest;
    const last = seconds.at(-1);
    lines.forEach((line, i) => say(values[i], last ? format(line.of(last) ?? null) : "–"));
    const told = lines.map((line, i) => `${line.name} ${values[i].textContent}`).join(", ");
    mark(drawing, "aria-label", `${title}: ${told}`);
    paint();
  }

  function paint() {
    // Too narrow to be read, as while it is not shown.
    if (width <= EDGE.left + EDGE.right) return;
    mark(drawing, "viewBox", `0 0 ${width} ${HEIGHT}`);
    const end = now();
    const shown = seconds.filter((second) => second.time > end - REACH);
    const scale = scaled(lines.flatMap((line) => shown.map(line.of)), isLog);
    const x = (time) => EDGE.left + ((time - end) / REACH + 1) * (width - EDGE.left - EDGE.right);
    const y = (value) => HEIGHT - EDGE.bottom - scale.place(value) * (HEIGHT - EDGE.top - EDGE.bottom);
    lines.forEach((line, i) => mark(paths[i], "d", path(shown, line.of, x, y)));
    draw({ rules, words }, width, scale.steps, y, format);
  }
  return { figure, update };
}

function path(seconds, of, x, y) {
  let d = "";
  let before = -Infinity;
  for (const second of seconds) {
    const value = of(second);
    if (value === undefined || value === null) continue;
    d += `${second.time - before > GAP ? "M" : "L"}${x(second.time).toFixed(1)} ${y(value).toFixed(1)}`;
    // A value that stands alone is still seen.
    if (second.time - before > GAP) d += "h.1";
    before = second.time;
  }
  return d;
}

/** Where values stand between 0 and 1, and which ones have a line. */
function scaled(values, isLog) {
  const known = values.filter((value) => value > 0);
  const most = known.length ? Math.max(...known) : 1;
  if (!isLog) {
    const size = 10 ** Math.floor(Math.log10(most));
    const top = [1, 2, 4, 5, 10].map((one) => one * size).find((one) => one >= most);
    return { place: (value) => value / top, steps: [0, top / 2, top] };
  }
  const least = known.length ? Math.min(...known) : 0.001;
  const low = Math.floor(Math.log10(least));
  const high = Math.max(low + 1, Math.ceil(Math.log10(most)));
  const stride = Math.max(1, Math.ceil((high - low) / 4));
  const steps = [];
  for (let power = low; power <= high; power += stride) steps.push(10 ** power);
  return { place: (value) => (Math.log10(value) - low) / (high - low), steps };
}

/** The rules of the values, and the words beside them; rules and words that are not needed are empty. */
function draw({ rules, words }, width, steps, y, format) {
  rules.forEach((rule, i) => mark(rule, "d", i in steps ? `M${EDGE.left} ${y(steps[i])}H${width - EDGE.right}` : ""));
  const [begin, end, ...others] = words;
  put(begin, "5 minutes ago", EDGE.left, HEIGHT - 6, "start");
  put(end, "now", width - EDGE.right, HEIGHT - 6, "end");
  others.forEach((word, i) => {
    if (i in steps) put(word, format(steps[i]), EDGE.left - 8, y(steps[i]) + 4, "end");
    else say(word, "");
  });
}

function put(text, words, x, y, anchor) {
  say(text, words);
  mark(text, "x", x);
  mark(text, "y", y);
  mark(text, "text-anchor", anchor);
}
