// Alerts: what is wrong, who knows, and what is silent.

import { announce, button, confirm, either, empty, h, keyed, mark, say, show } from "./dom.js";
import { ago, others, words } from "./format.js";
import { ask } from "./hub.js";

const TONES = { critical: "bad", error: "bad", warning: "warn", info: "" };
const LASTING = [["15m", "15 minutes"], ["1h", "an hour"], ["8h", "8 hours"], ["24h", "a day"]];

/** Between two looks at the silences, in milliseconds. */
const OFTEN = 10_000;

export function alerts(section) {
  const list = h("ul", { class: "items" });
  const none = empty("All is well: no alert is active.");
  const silenced = h("ul", { class: "items" });
  const more = h("p", { class: "soft" });
  const quiet = h("div", { hidden: true }, h("h3", {}, "Silences"), silenced);
  const error = h("p", { class: "error", role: "alert" });
  section.append(list, none, more, quiet, error);
  let looked = -Infinity;

  const act = async (path, request, told) => {
    try {
      await ask(path, request);
      say(error, "");
      announce(told);
      looked = -Infinity;
    } catch (refused) {
      say(error, refused.message);
    }
  };
  const silences = async () => {
    const { silences } = await ask("/v1/admin/alerts/silences");
    quiet.hidden = silences.length === 0;
    keyed(silenced, silences, (one) => one.id, (one) => silence(one, act));
  };
  return {
    update({ alerts }) {
      either(list, none, alerts.list.length > 0);
      keyed(list, alerts.list, (one) => one.id, (one) => alert(one, act));
      say(more, others(alerts.left_out));
      if (performance.now() - looked > OFTEN) {
        looked = performance.now();
        silences().catch(() => {});
      }
    },
  };
}

function alert({ id, rule, subject }, act) {
  const [severity, summary, told] = [h("span", { class: "state" }), h("span", {}), h("p", { class: "soft" })];
  const acknowledge = button("Acknowledge", () =>
    act(`/v1/admin/alerts/${id}/ack`, { method: "POST", body: {} }, "The alert is acknowledged."), {
    "aria-label": `Acknowledge ${rule} of ${subject}`,
  });
  const hush = button("Silence…", async () => {
    const lasting = h("select", { id: "lasting" }, LASTING.map(([value, name]) => h("option", { value }, name)));
    const fields = [h("label", { for: "lasting" }, "For"), lasting];
    const text = `Nobody is told of ${rule} of ${subject} meanwhile. It still stands here.`;
    if (!(await confirm("Silence this alert?", text, "Silence", fields))) return;
    act("/v1/admin/alerts/silences", { method: "POST", body: { rule, subject, lasting: lasting.value } }, "It is silent.");
  }, { "aria-label": `Silence ${rule} of ${subject}` });
  return {
    node: h("li", {}, h("h3", {}, severity, " ", summary), told, h("div", { class: "buttons" }, acknowledge, hush)),
    update(one) {
      say(severity, one.severity);
      mark(severity, "data-tone", TONES[one.severity] ?? "bad");
      say(summary, one.summary);
      const parts = [[one.rule, one.subject].filter(Boolean).join(" · "), `since ${ago(one.since)}`];
      if (one.acknowledged) parts.push(`${one.acknowledged.by} knows`);
      if (one.silenced_by) parts.push("silent");
      say(told, parts.join(" · "));
      show(hush, !one.silenced_by);
      show(acknowledge, one.status === "firing");
    },
  };
}

function silence({ id, rule, subject, by }, act) {
  const told = h("span", {});
  const end = button("End", () => act(`/v1/admin/alerts/silences/${id}`, { method: "DELETE" }, "The silence has ended."), {
    "aria-label": `End the silence of ${rule} of ${subject}`,
  });
  return {
    node: h("li", { class: "line" }, told, end),
    update: (one) => say(told, `${words(rule)} · ${subject} · by ${by}, ends ${ago(one.until)}`),
  };
}
