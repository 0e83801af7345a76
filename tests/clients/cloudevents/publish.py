"""Publishes with the CloudEvents SDK for Python, in each of its ways, and follows what it sent, as
server-sent events and on a WebSocket.

Called with the hub's address; the key is in NEXUS_KEY. Prints one JSON line for each answer.
"""

import http.client
import json
import os
import sys
import urllib.parse

from cloudevents.core.bindings.http import HTTPMessage, from_structured, to_binary, to_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from cloudevents.v1 import conversion
from cloudevents.v1.http import CloudEvent as OlderEvent
from websockets.sync.client import connect

HUB = sys.argv[1]
KEY = os.environ["NEXUS_KEY"]
FORMAT = JSONFormat()


def attributes(event_id):
    return {
        "id": event_id,
        "source": "https://example.org/python/é",
        "type": "probe.ping",
        "subject": "naïve 100 % “quoted”",
        "correlationid": "Euro € 😀",
        "priority": "high",
    }


def ask(method, path, headers, body=None):
    # Adds no Content-Type of its own, as others would.
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(HUB).netloc)
    headers = {**headers, "Authorization": f"Bearer {KEY}"}
    connection.request(method, path, body=body, headers=headers)
    return connection.getresponse()


def send(mode, headers, body):
    answer = ask("POST", "/v1/events", headers, body)
    text = json.loads(answer.read())
    print(json.dumps({"mode": mode, "status": answer.status, "answer": text}), flush=True)


live = ask("GET", "/v1/events/stream?format=cloudevents", {})
live.readline()

one = CloudEvent(attributes=attributes("core-1"), data={"n": 1, "note": "binary"})
message = to_binary(one, FORMAT)
send("binary", message.headers, message.body)
message = to_binary(one, FORMAT)
send("binary again", message.headers, message.body)

two = CloudEvent(attributes=attributes("core-2"), data={"n": 2, "note": "structured"})
message = to_structured(two, FORMAT)
send("structured", message.headers, message.body)

texts = [FORMAT.write(CloudEvent(attributes=attributes(f"core-{n}"), data={"n": n})) for n in (3, 4)]
batch = b"[" + b",".join(texts) + b"]"
send("batch", {"Content-Type": "application/cloudevents-batch+json"}, batch)

for mode, convert in ("older binary", conversion.to_binary), ("older structured", conversion.to_structured):
    older = OlderEvent({**attributes(mode), "correlationid": "c"}, {"n": 5})
    headers, body = convert(older)
    # The older SDK leaves it to its caller to encode what is not ASCII.
    headers = {name: str(value).encode().decode("latin-1") for name, value in headers.items()}
    send(mode, headers, body)


def followed(body):
    sent = HTTPMessage(headers={"content-type": "application/cloudevents+json"}, body=body)
    event = from_structured(sent, FORMAT)
    read = {
        "source": event.get_source(),
        "type": event.get_type(),
        "correlationid": event.get_extension("correlationid"),
        "data": event.get_data(),
    }
    print(json.dumps({"mode": "followed", "event": read}), flush=True)


for line in live:
    if line.startswith(b"data: "):
        followed(line.removeprefix(b"data: ").strip())
        break

with connect(
    HUB.replace("http", "ws", 1) + "/v1/ws?type=probe.ping",
    subprotocols=["cloudevents.json"],
    additional_headers={"Authorization": f"Bearer {KEY}"},
) as socket:
    three = CloudEvent(attributes=attributes("core-5"), data={"n": 6, "note": "websocket"})
    socket.send(FORMAT.write(three).decode())
    # The answer and the event, whichever comes first.
    frames = [socket.recv(timeout=30), socket.recv(timeout=30)]
    frames.sort(key=lambda frame: "specversion" in json.loads(frame))
    print(json.dumps({"mode": "websocket", "answer": json.loads(frames[0])}), flush=True)
    followed(frames[1].encode())
