// Asks the hub: one request and its answer, or a stream that is opened again whenever it ends.

import { credentials } from "./session.js";
import { messages } from "./sse.js";

/** The first pause before a stream is opened again, and the longest. */
const PAUSE = 500;
const LONGEST_PAUSE = 15_000;

/** After so long without a word a hub is taken for dead: in streams it speaks every second, or every fifteen. */
const SILENCE = 40_000;

/** Why the hub has not done what it was asked for. */
export class Refused extends Error {
  constructor(status, told) {
    super(told);
    this.status = status;
  }

  /** Whether the key is not one, or not enough. */
  get isAboutKey() {
    return this.status === 401 || this.status === 403;
  }
}

/** Asks for something; the answer's JSON, of which `revive` may make something else. */
export async function ask(path, { method = "GET", body, revive } = {}) {
  const headers = { ...credentials() };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const signal = AbortSignal.timeout(SILENCE);
  const answer = await open(path, { method, headers, body: body && JSON.stringify(body), signal });
  return JSON.parse(await answer.text(), revive);
}

async function open(path, request) {
  let answer;
  try {
    answer = await fetch(path, { cache: "no-store", credentials: "omit", redirect: "error", ...request });
  } catch (failure) {
    if (failure.name === "AbortError") throw failure;
    throw new Refused(0, "The hub does not answer.");
  }
  if (answer.ok) return answer;
  throw new Refused(answer.status, await reason(answer));
}

/** What a problem document says. */
async function reason(answer) {
  try {
    const problem = await answer.json();
    const places = (problem.errors ?? []).map((one) => `${one.pointer}: ${one.message}`);
    return [problem.detail ?? problem.title, ...places].join("; ");
  } catch {
    return `The hub answers with ${answer.status}.`;
  }
}

/**
 * Follows a stream until the returned function is called. `on.message` gets what comes; `on.state` is told `live`,
 * `connecting`, `away` with the seconds until it is tried again, or `refused` with why, which ends it.
 */
export function follow(path, on) {
  const end = new AbortController();
  const run = async () => {
    let pause = PAUSE;
    while (!end.signal.aborted) {
      on.state("connecting");
      try {
        await once(path, end.signal, on, () => (pause = PAUSE));
      } catch (failure) {
        if (end.signal.aborted) return;
        if (failure instanceof Refused && failure.status >= 400 && failure.status < 500 && failure.status !== 429) {
          on.state("refused", failure);
          return;
        }
      }
      if (end.signal.aborted) return;
      // Not all pages at the same moment, when a hub comes back.
      const wait = pause * (0.75 + Math.random() / 2);
      on.state("away", wait / 1000);
      await sleep(wait, end.signal);
      pause = Math.min(2 * pause, LONGEST_PAUSE);
    }
  };
  run();
  return () => end.abort();
}

async function once(path, signal, on, isAlive) {
  const silent = new AbortController();
  const either = AbortSignal.any([signal, silent.signal]);
  const answer = await open(path, { headers: credentials(), signal: either });
  on.state("live");
  let timer;
  const listen = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silent.abort(), SILENCE);
  };
  try {
    listen();
    for await (const message of messages(answer.body)) {
      listen();
      isAlive();
      on.message(message);
    }
  } finally {
    clearTimeout(timer);
  }
}

function sleep(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
