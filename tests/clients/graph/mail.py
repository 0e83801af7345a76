"""Uses the double of Microsoft Graph with Microsoft's own SDK for Python, as an app does: signs in, subscribes, lists
and reads mail, follows changes over their pages, prolongs and ends the subscription, and is refused in between.

Called with the double's base URL. Prints one JSON line for each step.
"""

import asyncio
import json
import sys
import threading
import urllib.parse
import urllib.request
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from kiota_abstractions.api_error import APIError
from kiota_abstractions.authentication import AuthenticationProvider
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_http.middleware.options import RetryHandlerOption
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.models.subscription import Subscription
from msgraph.generated.users.item.mail_folders.item.messages.delta.delta_request_builder import DeltaRequestBuilder

GRAPH = sys.argv[1]
TENANT = "84bd8158-6d4d-4958-8b9f-9d6445542f95"
CLIENT = {"client_id": "8e460676-ae3f-4b1e-8790-ee0fb5d6148f", "client_secret": "double-of-a-secret"}
ADA = "ada@example.org"


def said(step, **more):
    print(json.dumps({"step": step, **more}), flush=True)


def post(path, data, content_type="application/json"):
    request = urllib.request.Request(f"{GRAPH}{path}", data=data.encode(), headers={"Content-Type": content_type})
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read() or "null")


def control(name, **more):
    return post(f"/_control/{name}", json.dumps(more))


def token():
    form = {"grant_type": "client_credentials", "scope": "https://graph.microsoft.com/.default", **CLIENT}
    granted = post(f"/{TENANT}/oauth2/v2.0/token", urllib.parse.urlencode(form), "application/x-www-form-urlencoded")
    return granted["access_token"]


class Token(AuthenticationProvider):
    """A token that was had before."""

    def __init__(self, text):
        self.text = text

    async def authenticate_request(self, request, additional_authentication_context={}):
        request.headers.try_add("Authorization", f"Bearer {self.text}")


class Hook(BaseHTTPRequestHandler):
    """Who is notified. One whose path is /mute does not answer the handshake as it should."""

    heard = []
    arrived = threading.Event()

    def do_POST(self):
        url = urllib.parse.urlsplit(self.path)
        asked = urllib.parse.parse_qs(url.query).get("validationToken")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if asked:
            answer = b"something else" if url.path == "/mute" else asked[0].encode()
            self.answer(200, answer)
        else:
            Hook.heard.append(json.loads(body))
            self.answer(202, b"")
            Hook.arrived.set()

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def client(text):
    adapter = GraphRequestAdapter(Token(text))
    adapter.base_url = f"{GRAPH}/v1.0"
    return GraphServiceClient(request_adapter=adapter)


def wanted(hook, path):
    return Subscription(
        change_type="created",
        notification_url=f"http://127.0.0.1:{hook}{path}",
        lifecycle_notification_url=f"http://127.0.0.1:{hook}/lifecycle",
        resource=f"users/{ADA}/mailFolders('inbox')/messages",
        expiration_date_time=datetime.now(timezone.utc) + timedelta(hours=1),
        client_state="known to both",
    )


async def refused(step, asked):
    try:
        await asked
        said(step, status=None)
    except APIError as error:
        said(step, status=error.response_status_code, code=error.error.code if hasattr(error, "error") else None)


async def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hook = server.server_address[1]

    await refused("not signed in", client("no token").subscriptions.get())
    graph = client(token())
    await refused("no handshake", graph.subscriptions.post(wanted(hook, "/mute")))
    made = await graph.subscriptions.post(wanted(hook, "/hook"))
    said("subscribed", id=made.id, resource=made.resource, client_state=made.client_state)
    await refused("subscribed twice", graph.subscriptions.post(wanted(hook, "/hook")))
    listed = await graph.subscriptions.get()
    said("listed", ids=[one.id for one in listed.value], client_states=[one.client_state for one in listed.value])

    arrived = control("mail", mailbox=ADA, fields={"subject": "Naïve €", "importance": "high"})["id"]
    Hook.arrived.wait(10)
    told = Hook.heard[0]["value"][0]
    said("notified", same_message=told["resourceData"]["id"] == arrived,
         same_subscription=told["subscriptionId"] == made.id,
         client_state=told["clientState"], change=told["changeType"])
    message = await graph.users.by_user_id(ADA).messages.by_message_id(arrived).get()
    said("read", subject=message.subject, importance=message.importance.value,
         sender=message.from_.email_address.address, received=message.received_date_time is not None)

    control("change", mailbox=ADA, id=arrived, fields={"isRead": True})
    for n in range(24):
        control("mail", mailbox=ADA, fields={"subject": str(n)}, unnoticed=True)
    subjects, pages = [], 0
    folder = graph.users.by_user_id(ADA).mail_folders.by_mail_folder_id("inbox").messages.delta
    query = DeltaRequestBuilder.DeltaRequestBuilderGetQueryParameters(
        select=["subject", "receivedDateTime"], filter="receivedDateTime ge 2020-01-01T00:00:00Z")
    page = await folder.get(RequestConfiguration(query_parameters=query))
    while True:
        pages += 1
        subjects += [one.subject for one in page.value]
        if page.odata_delta_link:
            break
        page = await folder.with_url(page.odata_next_link).get()
    link = page.odata_delta_link
    again = await folder.with_url(link).get()
    control("mail", mailbox=ADA, fields={"subject": "since then"}, unnoticed=True)
    since = await folder.with_url(link).get()
    said("changes", pages=pages, count=len(subjects), distinct=len(set(subjects)), again=len(again.value),
         since=[one.subject for one in since.value])
    post("/_control/forget-delta", "")
    await refused("forgotten", folder.with_url(link).get())

    before = made.expiration_date_time
    longer = Subscription(expiration_date_time=before + timedelta(hours=2))
    renewed = await graph.subscriptions.by_subscription_id(made.id).patch(longer)
    said("prolonged", by=(renewed.expiration_date_time - before).total_seconds())
    too_long = Subscription(expiration_date_time=before + timedelta(days=8))
    await refused("prolonged too much", graph.subscriptions.by_subscription_id(made.id).patch(too_long))
    await graph.subscriptions.by_subscription_id(made.id).reauthorize.post()
    await graph.subscriptions.by_subscription_id(made.id).delete()
    await refused("ended", graph.subscriptions.by_subscription_id(made.id).get())
    control("vanish", mailbox=ADA, id=arrived)
    await refused("gone", graph.users.by_user_id(ADA).messages.by_message_id(arrived).get())
    # The SDK waits as it is told, and asks again; unless it is not to.
    control("fail", what="message.list", status=429, retry_after=1, times=2)
    messages = graph.users.by_user_id(ADA).messages
    at_once = RequestConfiguration(options=[RetryHandlerOption(should_retry=False)])
    await refused("too much", messages.get(at_once))
    page = await messages.get()
    sizes = [len(page.value)]
    while page.odata_next_link:
        page = await messages.with_url(page.odata_next_link).get()
        sizes.append(len(page.value))
    said("messages", pages=sizes)


asyncio.run(main())
