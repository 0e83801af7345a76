"""Polls a mailbox and a Dropbox folder with the vendors' own SDKs, as programs do that nobody calls: asks both for what is
new at fixed intervals, over connections that stay open, with tokens that are asked for once.

Called with the base URL of the double of Microsoft Graph, the port of the double of Dropbox, the authority that its
certificate is checked against, and the interval in seconds. Prints `ready`, then what is new, one line each: `mail
SUBJECT` or `file PATH`. Ends when its standard input does.
"""

import asyncio
import json
import os
import sys
import threading
import urllib.parse
import urllib.request

GRAPH, PORT, AUTHORITY, INTERVAL = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])
# Read when the SDK is imported.
for host in ("API", "API_CONTENT", "API_NOTIFY"):
    os.environ[f"DROPBOX_{host}_HOST"] = f"localhost:{PORT}"

import dropbox  # noqa: E402
from dropbox import files  # noqa: E402
from kiota_abstractions.authentication import AuthenticationProvider  # noqa: E402
from msgraph import GraphRequestAdapter, GraphServiceClient  # noqa: E402

TENANT = "84bd8158-6d4d-4958-8b9f-9d6445542f95"
CLIENT = {"client_id": "8e460676-ae3f-4b1e-8790-ee0fb5d6148f", "client_secret": "double-of-a-secret"}
MAILBOX = "ada@example.org"


class Token(AuthenticationProvider):
    def __init__(self):
        form = {"grant_type": "client_credentials", "scope": "https://graph.microsoft.com/.default", **CLIENT}
        request = urllib.request.Request(
            f"{GRAPH}/{TENANT}/oauth2/v2.0/token", data=urllib.parse.urlencode(form).encode()
        )
        with urllib.request.urlopen(request) as answer:
            self.text = json.loads(answer.read())["access_token"]

    async def authenticate_request(self, request, additional_authentication_context={}):
        request.headers.try_add("Authorization", f"Bearer {self.text}")


def mailbox():
    adapter = GraphRequestAdapter(Token())
    adapter.base_url = f"{GRAPH}/v1.0"
    messages = GraphServiceClient(request_adapter=adapter).users.by_user_id(MAILBOX)
    return messages.mail_folders.by_mail_folder_id("inbox").messages.delta


def folder():
    session = dropbox.create_session(ca_certs=AUTHORITY)
    session.verify, session.trust_env = AUTHORITY, False
    return dropbox.Dropbox(
        oauth2_refresh_token="refresh-ada", app_key="app-key", app_secret="app-secret", session=session
    )


async def mail(place):
    """What is new since a place, and the next one."""
    found = []
    page = await place.get()
    while True:
        found += [message.subject for message in page.value or []]
        if page.odata_delta_link:
            return found, place.with_url(page.odata_delta_link)
        page = await place.with_url(page.odata_next_link).get()


def changes(dbx, cursor):
    """What is new since a cursor, and the next one."""
    page = dbx.files_list_folder_continue(cursor) if cursor else dbx.files_list_folder("", recursive=True)
    found = []
    while True:
        found += [entry.path_display for entry in page.entries if isinstance(entry, files.FileMetadata)]
        if not page.has_more:
            return found, page.cursor
        page = dbx.files_list_folder_continue(page.cursor)


async def main():
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    threading.Thread(
        target=lambda: (sys.stdin.read(), loop.call_soon_threadsafe(ended.set)), daemon=True
    ).start()
    dbx = folder()
    _, place = await mail(mailbox())
    _, cursor = changes(dbx, None)
    print("ready", flush=True)
    while not ended.is_set():
        try:
            await asyncio.wait_for(ended.wait(), INTERVAL)
        except TimeoutError:
            pass
        subjects, place = await mail(place)
        paths, cursor = changes(dbx, cursor)
        for kind, names in (("mail", subjects), ("file", paths)):
            for name in names:
                print(kind, name, flush=True)


asyncio.run(main())
