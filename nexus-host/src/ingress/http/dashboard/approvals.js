// Questions that wait for a person, and the answers to them.

import { announce, button, either, empty, h, keyed, say } from "./dom.js";
import { ago, others } from "./format.js";
import { ask } from "./hub.js";

/** Between two looks while something waits, in milliseconds, and where their number is not what was seen. */
const OFTEN = 5_000;
const SOON = 1_000;

/** Questions that are shown. */
const MOST = 200;

const TONES = { good: "primary", bad: "danger" };

export function approvals(section, { open }) {
  const list = h("ul", { class: "items" });
  const none = empty("Nothing waits for an answer.");
  const more = h("p", { class: "soft" });
  const error = h("p", { class: "error", role: "alert" });
  section.append(list, none, more, error);
  let [looked, known, isLooking] = [-Infinity, -1, false];

  const look = async () => {
    isLooking = true;
    looked = performance.now();
    known = -1;
    try {
      const { approvals } = await ask("/v1/admin/approvals?status=pending");
      either(list, none, approvals.length > 0);
      say(more, others(Math.max(0, approvals.length - MOST)));
      keyed(list, approvals.slice(0, MOST), (one) => one.id, (one) => approval(one, { open, look }));
      known = approvals.length;
      say(error, "");
    } catch (refused) {
      say(error, refused.message);
    }
    isLooking = false;
  };
  return {
    update({ approvals_pending: pending }) {
      if (isLooking || (pending === 0 && known === 0)) return;
      if (performance.now() - looked > (pending === known ? OFTEN : SOON)) look();
    },
  };
}

function approval(one, { open, look }) {
  const [error, told] = [h("p", { class: "error", role: "alert" }), h("p", { class: "soft" })];
  const note = h("input", { id: `note-${one.id}`, type: "text", maxlength: 1000, autocomplete: "off" });
  const wantsNote = one.choices.some((choice) => choice.needs_note);
  const answer = async (choice) => {
    if (choice.needs_note && !note.value.trim()) {
      say(error, "This answer needs a note.");
      note.focus();
      return;
    }
    try {
      const body = { choice: choice.id, ...(note.value.trim() && { note: note.value.trim() }) };
      await ask(`/v1/admin/approvals/${one.id}`, { method: "POST", body });
      announce(`Answered: ${choice.label}.`);
      await look();
    } catch (refused) {
      say(error, refused.message);
    }
  };
  const choices = one.choices.map((choice) =>
    button(choice.label, () => answer(choice), {
      class: TONES[choice.tone] ?? null,
      "aria-label": `${choice.label}: ${one.title}`,
    }),
  );
  return {
    node: h(
      "li",
      {},
      h("h3", {}, one.title),
      one.body ? h("p", { class: "text" }, one.body) : null,
      told,
      h("label", { for: note.id }, wantsNote ? "Note" : "Note, if there is one"),
      note,
      h("div", { class: "buttons" }, choices, button("Journey", () => open(one.event_id), {
        class: "quiet", "aria-label": `Journey of the event behind: ${one.title}`,
      })),
      error,
    ),
    update: (one) => say(told, `${one.asked_by} asked ${ago(one.asked_at)} · “${one.unanswered}” holds ${ago(one.expires_at)}`),
  };
}
