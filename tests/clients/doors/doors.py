"""Comes in by every door over TLS, known by a certificate, with clients that others have made.

Called with the addresses of HTTP and gRPC and a folder with `ca.pem`, `client.pem` and
`client-key.pem`. The messages of gRPC are not compiled in: reflection tells of them. Prints one JSON
line for each thing that was tried.
"""

import http.client
import json
import pathlib
import ssl
import sys
import threading

import grpc
from google.protobuf import descriptor_pool, message_factory
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from websockets.sync.client import connect

HTTP, GRPC, FOLDER = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
PATIENCE = 30


def tell(what, **found):
    print(json.dumps({"what": what, **found}))


def event(number):
    return {"type": "probe.ping", "source": "mail", "payload": {"n": number}}


def tls():
    context = ssl.create_default_context(cafile=FOLDER / "ca.pem")
    context.load_cert_chain(FOLDER / "client.pem", FOLDER / "client-key.pem")
    return context


def over_http():
    connection = http.client.HTTPSConnection(HTTP, context=tls())
    headers = {"Content-Type": "application/json"}
    connection.request("POST", "/v1/events", json.dumps(event(1)), headers)
    answer = connection.getresponse()
    tell("http", status=answer.status, answer=json.load(answer))


def over_a_websocket():
    with connect(f"wss://{HTTP}/v1/ws", ssl=tls(), open_timeout=PATIENCE) as socket:
        socket.send(json.dumps({"op": "subscribe", "id": 1, "types": ["probe.*"]}))
        tell("websocket", answer=json.loads(socket.recv(PATIENCE)))
        socket.send(json.dumps({"op": "publish", "id": 2, "event": event(2)}))
        frames = [json.loads(socket.recv(PATIENCE)) for _ in range(2)]
        for frame in sorted(frames, key=lambda frame: frame.get("op", "")):
            tell("websocket", answer=frame)
        tell("websocket", pong=socket.ping().wait(PATIENCE))


class Hub:
    """The services behind a channel, as reflection describes them."""

    def __init__(self, channel):
        self.channel = channel
        self.described = ProtoReflectionDescriptorDatabase(channel)
        self.pool = descriptor_pool.DescriptorPool(self.described)

    def message(self, name):
        return message_factory.GetMessageClass(self.pool.FindMessageTypeByName(name))

    def method(self, service, name):
        method = self.pool.FindServiceByName(service).FindMethodByName(name)
        kind = "stream" if method.client_streaming else "unary"
        kind += "_stream" if method.server_streaming else "_unary"
        return getattr(self.channel, kind)(
            f"/{service}/{name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
        )

    def publish(self, number, payload=None):
        payload = json.dumps({"n": number}) if payload is None else payload
        known = self.message("nexus.v1.Event")(
            type="probe.ping", source="mail", payload=payload.encode()
        )
        return self.message("nexus.v1.PublishRequest")(event=known)


def reflected_in_v1(channel):
    # The messages of both versions are the same; only the service's name differs.
    ask = channel.stream_stream(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    wanted = reflection_pb2.ServerReflectionRequest(list_services="")
    answer = next(ask(iter([wanted]), timeout=PATIENCE))
    return sorted(service.name for service in answer.list_services_response.service)


def health(hub):
    check = hub.method("grpc.health.v1.Health", "Check")
    request = hub.message("grpc.health.v1.HealthCheckRequest")
    for service in ["", "nexus.v1.Hub", "nobody"]:
        try:
            status = check(request(service=service), timeout=PATIENCE).status
            tell("health", service=service, status=status)
        except grpc.RpcError as error:
            tell("health", service=service, error=error.code().name)


def publish(hub):
    call = hub.method("nexus.v1.Hub", "Publish")
    answer = call(hub.publish(3), timeout=PATIENCE)
    tell("publish", status=answer.status, event_id=answer.event_id)
    try:
        call(hub.publish(0, payload="[]"), timeout=PATIENCE)
    except grpc.RpcError as error:
        code = dict(error.trailing_metadata()).get("nexus-code")
        tell("publish", error=error.code().name, code=code)


def publish_a_stream(hub):
    call = hub.method("nexus.v1.Hub", "PublishStream")
    requests = [hub.publish(4), hub.publish(0, payload="{"), hub.publish(5)]
    for result in call(iter(requests), timeout=PATIENCE):
        tell("stream", accepted=result.accepted.status, refused=result.refused.code)


def follow(hub):
    """Reads two events, leaves, and comes back behind the first."""
    call = hub.method("nexus.v1.Hub", "Subscribe")
    request = hub.message("nexus.v1.SubscribeRequest")
    publish = hub.method("nexus.v1.Hub", "Publish")
    following = call(request(types=["probe.*"], sources=["mail"]), timeout=PATIENCE)
    # Whether the hub listens already is seen by what it sends: it is told until it does.
    heard = threading.Event()

    def speak():
        while not heard.wait(0.05):
            publish(hub.publish(6), timeout=PATIENCE)

    speaker = threading.Thread(target=speak)
    speaker.start()
    first, second = next(following), next(following)
    heard.set()
    speaker.join()
    following.cancel()
    again = next(call(request(types=["probe.*"], after=first.position), timeout=PATIENCE))
    tell(
        "follow",
        ordered=first.position < second.position,
        resumed=again.event.event_id == second.event.event_id,
        payload=json.loads(again.event.payload),
    )
    try:
        next(call(request(after=1), timeout=PATIENCE))
    except grpc.RpcError as error:
        tell("follow", error=error.code().name)


def over_grpc():
    read = lambda name: (FOLDER / name).read_bytes()
    known = grpc.ssl_channel_credentials(read("ca.pem"), read("client-key.pem"), read("client.pem"))
    with grpc.secure_channel(GRPC, known) as channel:
        hub = Hub(channel)
        tell("reflection", v1alpha=sorted(hub.described.get_services()), v1=reflected_in_v1(channel))
        health(hub)
        publish(hub)
        publish_a_stream(hub)
        follow(hub)
    stranger = grpc.ssl_channel_credentials(read("ca.pem"))
    with grpc.secure_channel(GRPC, stranger) as channel:
        hub = Hub(channel)
        try:
            hub.method("nexus.v1.Hub", "Publish")(hub.publish(7), timeout=PATIENCE)
        except grpc.RpcError as error:
            tell("stranger", error=error.code().name)


over_http()
over_a_websocket()
over_grpc()
