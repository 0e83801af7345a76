// Publishes with the CloudEvents SDK for JavaScript, in each of its ways, and follows what it sent on a
// WebSocket.
//
// Called in the folder where the SDK is installed, with the hub's address; the key is in NEXUS_KEY.
// Prints one JSON line for each answer.

import { createRequire } from "node:module";

const from = createRequire(`${process.cwd()}/`);
const { CloudEvent, HTTP } = from("cloudevents");
const { WebSocket } = from("ws");
const hub = process.argv[2];

function event(id, data) {
  return new CloudEvent({
    id,
    source: "/javascript",
    type: "probe.ping",
    datacontenttype: "application/json",
    correlationid: "c-1",
    data,
  });
}

async function send(mode, headers, body) {
  const answer = await fetch(`${hub}/v1/events`, {
    method: "POST",
    headers: { ...headers, authorization: `Bearer ${process.env.NEXUS_KEY}` },
    body,
  });
  console.log(JSON.stringify({ mode, status: answer.status, answer: await answer.json() }));
}

const one = HTTP.binary(event("js-1", { n: 1 }));
await send("binary", one.headers, one.body);
await send("binary again", one.headers, one.body);
const two = HTTP.structured(event("js-2", { n: 2 }));
await send("structured", two.headers, two.body);
const batch = JSON.stringify([event("js-3", { n: 3 }), event("js-4", { n: 4 })]);
await send("batch", { "content-type": "application/cloudevents-batch+json" }, batch);

const socket = new WebSocket(
  `${hub.replace("http", "ws")}/v1/ws?type=probe.ping`,
  ["cloudevents.json"],
  { headers: { authorization: `Bearer ${process.env.NEXUS_KEY}` } },
);
const frames = [];
socket.on("open", () => socket.send(HTTP.structured(event("js-5", { n: 5 })).body));
// The answer and the event, whichever comes first.
socket.on("message", (frame) => {
  if (frames.push(JSON.parse(frame)) < 2) return;
  const [sent, answer] = "specversion" in frames[0] ? frames : frames.reverse();
  console.log(JSON.stringify({ mode: "websocket", answer }));
  const headers = { "content-type": "application/cloudevents+json" };
  const { source, type, correlationid, data } = HTTP.toEvent({ headers, body: sent });
  console.log(JSON.stringify({ mode: "followed", event: { source, type, correlationid, data } }));
  socket.close();
});
