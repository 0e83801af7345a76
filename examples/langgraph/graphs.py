"""Graphs to try the hub with: the same answer every time, no model, no key, nothing of the network."""

import asyncio
import operator
from typing import Annotated, Any

from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict


class Mail(TypedDict, total=False):
    subject: str
    body: str
    label: str


def classify(mail: Mail) -> Mail:
    subject = mail.get("subject", "").lower()
    return {"label": "urgent" if "urgent" in subject else "ordinary"}


class Request(TypedDict, total=False):
    what: str
    answer: Any
    done: bool


def ask(request: Request) -> Request:
    return {"answer": interrupt({"question": f"May I {request['what']}?"})}


def act(request: Request) -> Request:
    return {"done": request["answer"] == "approve"}


class Task(TypedDict, total=False):
    seconds: float
    reason: str
    rested: bool


async def rest(task: Task) -> Task:
    await asyncio.sleep(task.get("seconds", 1.0))
    return {"rested": True}


def fail(task: Task) -> Task:
    raise ValueError(task.get("reason", "it cannot be done"))


class Story(TypedDict, total=False):
    about: str
    lines: Annotated[list[str], operator.add]


def begin(story: Story) -> Story:
    return {"lines": [f"Once there was {story.get('about', 'a hub')}."]}


def go_on(story: Story) -> Story:
    return {"lines": ["It waited."]}


def finish(story: Story) -> Story:
    return {"lines": ["Then something happened."]}


class Text(TypedDict, total=False):
    text: str
    times: int
    result: str


def repeat_it(text: Text) -> Text:
    return {"result": text["text"] * text["times"]}


class Matter(TypedDict, total=False):
    kind: str
    untrusted: bool
    type: str
    mail: dict
    file: dict
    answer: str
    summary: str


def about(matter: Matter) -> str:
    return matter.get("mail", {}).get("subject") or matter.get("file", {}).get("path", "")


def consider(matter: Matter) -> Matter:
    if "invoice" not in about(matter).lower():
        return {"answer": "leave"}
    question = {
        "question": f"Pay {about(matter)}?",
        "body": matter.get("mail", {}).get("preview", ""),
        "choices": [
            {"id": "pay", "label": "Pay", "tone": "good"},
            {"id": "refuse", "label": "Refuse", "tone": "bad"},
        ],
        "unanswered": "refuse",
    }
    return {"answer": interrupt(question)}


def conclude(matter: Matter) -> Matter:
    done = {"pay": "is paid", "refuse": "is not paid"}.get(matter["answer"])
    return {"summary": f"{about(matter)} {done}"} if done else {}


class Council(Matter, total=False):
    votes: Annotated[list[str], operator.add]


def vote(who: str, council: Council) -> Council:
    question = {
        "question": f"{who}: pay {about(council)}?",
        "choices": [
            {"id": "yes", "label": "Yes", "tone": "good"},
            {"id": "no", "label": "No", "tone": "bad"},
        ],
        "unanswered": "no",
    }
    return {"votes": [f"{who} {interrupt(question)}"]}


def treasurer(council: Council) -> Council:
    return vote("treasurer", council)


def chair(council: Council) -> Council:
    return vote("chair", council)


def tally(council: Council) -> Council:
    return {"summary": ", ".join(sorted(council["votes"]))}


def council_of() -> Any:
    """Two who are asked side by side."""
    graph = StateGraph(Council)
    graph.add_node("tally", tally)
    for member in (treasurer, chair):
        graph.add_node(member.__name__, member)
        graph.add_edge(START, member.__name__)
    graph.add_edge(["treasurer", "chair"], "tally")
    graph.add_edge("tally", END)
    return graph.compile()


def line_of(state: type, *nodes) -> Any:
    """A graph of nodes, one after the other."""
    graph = StateGraph(state)
    before = START
    for node in nodes:
        graph.add_node(node.__name__, node)
        graph.add_edge(before, node.__name__)
        before = node.__name__
    graph.add_edge(before, END)
    return graph.compile()


classifier = line_of(Mail, classify)
approval = line_of(Request, ask, act)
slow = line_of(Task, rest)
failing = line_of(Task, fail)
repeat = line_of(Text, repeat_it)
triage = line_of(Matter, consider, conclude)
council = council_of()
story = line_of(Story, begin, go_on, finish)
