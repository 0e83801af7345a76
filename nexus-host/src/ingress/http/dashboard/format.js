// How figures and times are written. Times are told by the hub's clock, which may not be this machine's.

let hubTime = Date.now();
let heardAt = performance.now();

/** The hub has said what time it is. */
export function setClock(at) {
  const time = Date.parse(at);
  if (Number.isNaN(time)) return;
  hubTime = time;
  heardAt = performance.now();
}

/** What time it is at the hub, in milliseconds since 1970. */
export function now() {
  return hubTime + performance.now() - heardAt;
}

const COUNT = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const FEW = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

/** A number of things. */
export function count(value) {
  return value < 100_000 ? COUNT.format(value) : SHORT.format(value);
}

/** How many entries a list leaves out, where it does. */
export function others(leftOut, which = "") {
  return leftOut ? `And ${count(leftOut)} more${which}.` : "";
}

/** So many in a second. */
export function rate(value) {
  if (!value) return "0";
  if (value < 0.1) return "< 0.1";
  return value < 10 ? FEW.format(value) : count(value);
}

/** How long something takes, of which seconds are given. */
export function duration(seconds) {
  if (seconds === undefined || seconds === null) return "–";
  if (seconds < 0.001) return `${Math.max(1, Math.round(seconds * 1e6))} µs`;
  if (seconds < 1) return `${FEW.format(Number((seconds * 1000).toPrecision(3)))} ms`;
  if (seconds < 60) return `${FEW.format(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

/** Octets. */
export function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : FEW.format(value)} ${units[unit]}`;
}

/** How long ago something was, or how long until it will be. */
export function ago(at) {
  const seconds = (now() - Date.parse(at)) / 1000;
  if (Number.isNaN(seconds)) return "";
  if (seconds < -1) return `in ${duration(-seconds)}`;
  return seconds < 2 ? "just now" : `${duration(Math.floor(seconds))} ago`;
}

/** The time of day, to the millisecond. */
export function clock(at) {
  const time = new Date(at);
  if (Number.isNaN(time.getTime())) return "";
  const parts = { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 };
  return time.toLocaleTimeString("en-GB", parts);
}

/** A name of the interface in words. */
export function words(name) {
  return String(name ?? "").replaceAll("_", " ");
}
