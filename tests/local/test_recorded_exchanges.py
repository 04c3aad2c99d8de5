"""Our host's triggers are those of the extension 3.19, but for ids, times and blanks.

`recordings/` are exchanges with the genuine extension: what it has given to the same orchestrators,
in the order of its calls. Ids are compared by form and place, times by place.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from engine_kit import DirectInvoker, Engine

from azure.durable_functions.local.engine.invoker import Outcome

Context = Any
Orchestration = Any
RECORDINGS = Path(__file__).parent / "recordings"

_VARYING = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"
    r"|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}"
)


def comparable(triggers: list[str]) -> list[str]:
    """Triggers with ids numbered in the order of their appearance, and without times."""
    known: dict[str, str] = {}

    def plain(found: re.Match[str]) -> str:
        text = found[0]
        if text.endswith("Z"):
            return "TIME"
        return known.setdefault(text, f"{'GUID' if '-' in text else 'HEX'} {len(known)}")

    return [_VARYING.sub(plain, text) for text in triggers]


def recorded(name: str) -> list[str]:
    exchanges = json.loads((RECORDINGS / f"{name}.json").read_text("utf-8"))
    texts = [e["trigger"] for e in exchanges if e["kind"] == "orchestrator"]
    return comparable([compact(text) for text in texts])


def compact(text: str) -> str:
    """Without the blanks and line breaks between the texts; nothing else is touched."""
    return re.sub(r'("(?:[^"\\]|\\.)*")|\s+', lambda found: found[1] or "", text)


class Recorder(DirectInvoker):
    """Keeps the triggers."""

    def __init__(self, **orchestrators: Callable[[Any], Any]) -> None:
        activities: dict[str, Callable[[Any], Any]] = {
            "Hello": lambda name: f"Hello {name}!",
            "Echo": lambda value: value,
            "Slow": self._wait_for_release,
        }
        super().__init__(orchestrators, activities)
        self.triggers: list[str] = []
        self.goes_on = False

    async def orchestrate(self, name: str, trigger: str, **options: Any) -> Outcome:
        self.triggers.append(trigger)
        return await super().orchestrate(name, trigger, **options)

    async def run_activity(self, call: Any) -> Outcome:
        if call.name == "Slow":
            await call.after.kept()
            await self.release.wait()
        return await super().run_activity(call)

    def _wait_for_release(self, value: Any) -> Any:
        return value

    @property
    def release(self) -> asyncio.Event:
        """Lets the slow activities end."""
        if not hasattr(self, "_release"):
            self._release = asyncio.Event()
        return self._release


def chain(context: Context) -> Orchestration:
    r = []
    for c in ("Tokyo", "Seattle", "London"):
        r.append((yield context.call_activity("Hello", c)))
    return r


def timer(context: Context) -> Orchestration:
    yield context.create_timer(
        context.current_utc_datetime + timedelta(seconds=context.get_input())
    )


def events(context: Context) -> Orchestration:
    context.set_custom_status("waiting")
    a = yield context.wait_for_external_event("A")
    b = yield context.wait_for_external_event("b")
    return [a, b]


def big(context: Context) -> Orchestration:
    echoed = yield context.call_activity("Echo", context.get_input())
    event = yield context.wait_for_external_event("e")
    return [len(context.get_input()), len(echoed), event]


def child(context: Context) -> Orchestration:
    if context.get_input() == "wait":
        return (yield context.wait_for_external_event("go"))
    r = yield context.call_activity("Hello", context.get_input())
    return {"parent": context.parent_instance_id, "r": r, "id": context.instance_id}


def parent(context: Context) -> Orchestration:
    return (yield context.call_sub_orchestrator("child", context.get_input() or "x"))


def grand(context: Context) -> Orchestration:
    return (yield context.call_sub_orchestrator("parent", "g"))


def can(context: Context) -> Orchestration:
    n = context.get_input() or 1
    yield context.call_activity("Echo", n)
    if n < 3:
        context.continue_as_new(n + 1)
        return None
    return n


def can_events(context: Context) -> Orchestration:
    n = context.get_input() or 1
    got = yield context.wait_for_external_event("a")
    if n < 2:
        context.continue_as_new(n + 1)
        return None
    return [n, got]


def can_batch(context: Context) -> Orchestration:
    n = context.get_input() or 1
    yield context.call_activity("Slow", 1.5)
    got = yield context.wait_for_external_event("a")
    if n < 3:
        context.continue_as_new(n + 1)
        return None
    return [n, got]


def can_timer(context: Context) -> Orchestration:
    n = context.get_input() or 1
    t = context.create_timer(context.current_utc_datetime + timedelta(seconds=3))
    yield context.task_any([t, context.wait_for_external_event("a")])
    if n < 2:
        context.continue_as_new(n + 1)
        return None
    return n


Act = Callable[[Engine, str], Awaitable[None]]


async def run_out(engine: Engine, instance_id: str) -> None:
    await engine.run_out()


def raises(*raised: tuple[str, str]) -> Act:
    """Each event when the one before has had its turn."""

    async def act(engine: Engine, instance_id: str) -> None:
        for name, payload in raised:
            await engine.settle()
            await engine.hub.raise_event(instance_id, name, payload)
        await engine.run_out()

    return act


async def raise_behind_an_open_timer(engine: Engine, instance_id: str) -> None:
    for payload in ("1", "2"):
        await engine.settle()
        await engine.hub.raise_event(instance_id, "a", payload)
    await engine.run_out()


async def raise_during_an_activity(engine: Engine, instance_id: str) -> None:
    for payload in ("1", "2", "3"):
        while len(engine.invoker.triggers) < int(payload):  # type: ignore[attr-defined]
            await asyncio.sleep(0)
        await engine.hub.raise_event(instance_id, "a", payload)
    while len(engine.invoker.triggers) < 4:  # type: ignore[attr-defined]
        await asyncio.sleep(0)
    engine.invoker.release.set()  # type: ignore[attr-defined]
    await engine.settle()


async def terminate_the_child(engine: Engine, instance_id: str) -> None:
    await engine.settle()
    started = await engine.hub.find(instance_id)
    assert started is not None
    await engine.hub.terminate(f"{started.execution_id}:0", "child gone")
    await engine.settle()


UNICODE = (
    r'"\u00fcn\u00ef \u2014 \u65e5\u672c \ud83d\ude00 \" \\ \n\u2028\u007f </x> '
    r'2026-01-02T03:04:05Z"'
)
EVENT = '{"ü":"😀","d":"2026-01-02T03:04:05Z","f":1E+20,"g":1.0}'

CASES: dict[str, tuple[dict[str, Callable[[Any], Any]], str, str | None, Act]] = {
    "chain": ({"chain": chain}, "chain", None, run_out),
    "timer-short": ({"timer": timer}, "timer", "2", run_out),
    "sub-orchestration": (
        {"grand": grand, "parent": parent, "child": child},
        "grand",
        None,
        run_out,
    ),
    "external-events": (
        {"events": events},
        "events",
        None,
        raises(("a", '{"x":1}'), ("B", '"two"')),
    ),
    "continue-as-new": ({"can": can}, "can", None, run_out),
    "continue-as-new-events": (
        {"can_events": can_events},
        "can_events",
        None,
        raises(("b", '"old"'), ("a", "1"), ("a", "2")),
    ),
    "continue-as-new-buffered-dropped": (
        {"can_batch": can_batch},
        "can_batch",
        None,
        raise_during_an_activity,
    ),
    "continue-as-new-open-timer": (
        {"can_timer": can_timer},
        "can_timer",
        None,
        raise_behind_an_open_timer,
    ),
    "unicode": ({"big": big}, "big", UNICODE, raises(("e", EVENT))),
}


async def triggers_of(name: str) -> list[str]:
    orchestrators, first, input_text, act = CASES[name]
    invoker = Recorder(**orchestrators)
    async with Engine(invoker) as engine:
        instance_id = await engine.hub.start_instance(first, input_text=input_text)
        await act(engine, instance_id)
    return comparable(invoker.triggers)


@pytest.mark.parametrize("name", CASES)
def test_the_triggers_are_the_extensions(name: str) -> None:
    assert asyncio.run(triggers_of(name)) == recorded(name)


def test_a_terminated_child_gives_its_reason_and_no_details() -> None:
    async def scenario() -> list[str]:
        invoker = Recorder(parent=parent, child=child)
        async with Engine(invoker) as engine:
            instance_id = await engine.hub.start_instance("parent", input_text='"wait"')
            await terminate_the_child(engine, instance_id)
            return invoker.triggers

    failed = json.loads(asyncio.run(scenario())[-1])["history"][-1]
    told = json.loads(recorded("terminate-child")[-1])["history"][-1]
    assert {**failed, "Timestamp": "TIME"} == told
