// Reads server-sent events out of an answer's body: the browser's own reader cannot send a key in a header.

/** The messages of a body: `{ event, data }`, or `{ comment }`. */
export async function* messages(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let message = fresh();
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        if (line === "") {
          if (message.data.length > 0) yield { event: message.event, data: message.data.join("\n") };
          message = fresh();
        } else if (line.startsWith(":")) {
          yield { comment: line.slice(1).trim() };
        } else {
          field(message, line);
        }
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function fresh() {
  return { event: "message", data: [] };
}

function field(message, line) {
  const at = line.indexOf(":");
  const name = at < 0 ? line : line.slice(0, at);
  const value = at < 0 ? "" : line.slice(at + 1).replace(/^ /, "");
  if (name === "data") message.data.push(value);
  else if (name === "event") message.event = value;
}
