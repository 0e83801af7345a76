"""Drives the double of Dropbox with Dropbox's own SDK, as an app does that follows a folder.

Called with the double's port and the file of the authority that its certificate is checked against. Prints one JSON
line for each thing that was tried.
"""

import json
import os
import sys

PORT, AUTHORITY = sys.argv[1], sys.argv[2]
# Read when the SDK is imported.
for host in ("API", "API_CONTENT", "API_NOTIFY"):
    os.environ[f"DROPBOX_{host}_HOST"] = f"localhost:{PORT}"

import dropbox  # noqa: E402
from dropbox import exceptions, files  # noqa: E402


def tell(what, **found):
    print(json.dumps({"what": what, **found}))


def session():
    made = dropbox.create_session(ca_certs=AUTHORITY)
    # What requests has read of the environment would come before it.
    made.verify, made.trust_env = AUTHORITY, False
    return made


def told(entries):
    kinds = {
        files.FileMetadata: "file",
        files.FolderMetadata: "folder",
        files.DeletedMetadata: "deleted",
    }
    return sorted([kinds[type(entry)], entry.path_display] for entry in entries)


def rest(dbx, page):
    entries = list(page.entries)
    while page.has_more:
        page = dbx.files_list_folder_continue(page.cursor)
        entries += page.entries
    return entries, page.cursor


dbx = dropbox.Dropbox(
    oauth2_refresh_token="refresh-ada",
    app_key="app-key",
    app_secret="app-secret",
    session=session(),
    max_retries_on_rate_limit=2,
)
tell("account", id=dbx.users_get_current_account().account_id)

for name in ("a", "b", "c"):
    dbx.files_upload(b"12345", f"/Trip/{name}.txt")
entries, cursor = rest(dbx, dbx.files_list_folder("", recursive=True, limit=2))
tell("list", entries=told(entries))
file = next(entry for entry in entries if isinstance(entry, files.FileMetadata))
tell("file", size=file.size, has_rev=bool(file.rev), has_id=file.id.startswith("id:"))

dbx.files_move_v2("/Trip/a.txt", "/a.txt")
dbx.files_delete_v2("/Trip/b.txt")
dbx.files_create_folder_v2("/New")
tell("longpoll", changes=dbx.files_list_folder_longpoll(cursor, timeout=30).changes)
entries, cursor = rest(dbx, dbx.files_list_folder_continue(cursor))
tell("changes", entries=told(entries))

control = session()


def order(what, **how):
    control.post(f"https://localhost:{PORT}/_control/{what}", json=how).raise_for_status()


order("expire_tokens")
tell("renewed", entries=len(dbx.files_list_folder_continue(cursor).entries))
try:
    dropbox.Dropbox("no token", session=session()).users_get_current_account()
except exceptions.AuthError as error:
    tell("expired", is_expired=error.error.is_expired_access_token())

order("fail", status=429, retry_after=1, path="/2/files/list_folder/continue")
tell("throttled", entries=len(dbx.files_list_folder_continue(cursor).entries))

order("reset")
try:
    dbx.files_list_folder_continue(cursor)
except exceptions.ApiError as error:
    tell("reset", is_reset=error.error.is_reset())

try:
    dbx.files_list_folder("/nowhere", recursive=True)
except exceptions.ApiError as error:
    tell("not_found", is_not_found=error.error.get_path().is_not_found())
