"""An event hub as one would write it in Python: FastAPI, Pydantic, asyncio.Queue and uvicorn, in one process.

It does what the Rust hub does for an event at the least: it knows the client by the hash of its key, holds it to a
rate, judges envelope and payload by their models, queues in a bounded queue, answers, and hands the event to its
processor, which does nothing. Says its port in its first line, and ends with its standard input.
"""

import asyncio
import hashlib
import os
import socket
import sys
import threading
import time
import uuid
from contextlib import asynccontextmanager
from datetime import datetime, timezone
from enum import IntEnum
from typing import Annotated

import uvicorn
from fastapi import FastAPI, Header, HTTPException
from pydantic import BaseModel, ConfigDict, Field, ValidationError

CLIENTS = {hashlib.sha256(b"nxk_bench").hexdigest(): {"sources": {"bench"}, "rate": 1_000_000_000}}


class Priority(IntEnum):
    low = 0
    normal = 1
    high = 2
    urgent = 3


class Noted(BaseModel):
    model_config = ConfigDict(strict=True)
    note: str
    tags: list[str]
    count: Annotated[int, Field(ge=0, le=4_294_967_295)]


class Event(BaseModel):
    model_config = ConfigDict(extra="forbid")
    event_id: uuid.UUID = Field(default_factory=uuid.uuid4)
    type: Annotated[str, Field(max_length=200, pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)*$")]
    source: Annotated[str, Field(max_length=100)]
    timestamp: datetime = Field(default_factory=lambda: datetime.now(timezone.utc))
    priority: str = "normal"
    payload: dict


CONTRACTS = {"bench.noted": Noted}


class Bucket:
    """So many tokens a second."""

    def __init__(self, rate: int) -> None:
        self.rate, self.tokens, self.filled = rate, float(rate), time.monotonic()

    def take(self) -> bool:
        now = time.monotonic()
        self.tokens = min(self.rate, self.tokens + (now - self.filled) * self.rate)
        self.filled = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


async def process(event: Event, payload: BaseModel) -> None:
    """Does nothing, so that only the hub is measured."""


PROCESSORS = {"bench.noted": process}
BUCKETS = {hashed: Bucket(client["rate"]) for hashed, client in CLIENTS.items()}
queue: asyncio.Queue[tuple[Event, BaseModel]] = asyncio.Queue(maxsize=1000)


async def work() -> None:
    while True:
        event, payload = await queue.get()
        try:
            await PROCESSORS[event.type](event, payload)
        except Exception as error:  # One event must not end the hub.
            print(f"{event.event_id}: {error}", file=sys.stderr)
        finally:
            queue.task_done()


@asynccontextmanager
async def lifespan(_: FastAPI):
    worker = asyncio.create_task(work())
    yield
    worker.cancel()


app = FastAPI(lifespan=lifespan)


@app.post("/v1/events", status_code=202)
async def publish(event: Event, authorization: Annotated[str, Header()]) -> dict:
    hashed = hashlib.sha256(authorization.removeprefix("Bearer ").encode()).hexdigest()
    client = CLIENTS.get(hashed)
    if client is None:
        raise HTTPException(401)
    if not BUCKETS[hashed].take():
        raise HTTPException(429)
    if event.source not in client["sources"]:
        raise HTTPException(403)
    contract = CONTRACTS.get(event.type)
    if contract is None or event.priority not in Priority.__members__:
        raise HTTPException(422)
    try:
        payload = contract.model_validate(event.payload)
    except ValidationError as error:
        raise HTTPException(422, error.errors(include_input=False)) from None
    try:
        queue.put_nowait((event, payload))
    except asyncio.QueueFull:
        raise HTTPException(503) from None
    return {"status": "accepted", "event_id": str(event.event_id)}


def end_with_the_input() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    threading.Thread(target=end_with_the_input, daemon=True).start()
    config = uvicorn.Config(app, log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])
