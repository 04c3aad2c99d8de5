"""Finds out whether an orchestrator is deterministic, while a test runs it.

Every turn is replayed twice more, and both must ask for the same; what earlier turns have asked for
must be asked again. And the code is looked at: what reads a clock, chance or the environment may
give the same by luck.
"""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azure.durable_functions._replay.explanation import ExplainedAction, forgotten
from azure.durable_functions._wire import handles
from azure.durable_functions.local.engine.invoker import Outcome
from azure.durable_functions.local.worker.function_checks import LoadedFunction

_REMEDIES: dict[str, str] = {
    "datetime.now": "use context.current_utc_datetime",
    "datetime.utcnow": "use context.current_utc_datetime",
    "datetime.today": "use context.current_utc_datetime",
    "date.today": "use context.current_utc_datetime",
    "time.time": "use context.current_utc_datetime",
    "time.time_ns": "use context.current_utc_datetime",
    "time.monotonic": "use context.current_utc_datetime",
    "time.perf_counter": "use context.current_utc_datetime",
    "time.sleep": "yield context.create_timer(...)",
    "uuid.uuid1": "use context.new_uuid()",
    "uuid.uuid4": "use context.new_uuid()",
    "uuid4": "use context.new_uuid()",
    "os.environ": "read it in the starter, and give it to the orchestration as its input",
    "os.getenv": "read it in the starter, and give it to the orchestration as its input",
    "os.urandom": "move it into an activity",
    "open": "move it into an activity",
}
_MODULES = {
    "random": "move it into an activity, or seed it from context.instance_id",
    "secrets": "move it into an activity",
    "requests": "move it into an activity, or yield context.call_http(...)",
}
_SET_REMEDY = "iterate over sorted(...), because the order of a set differs between processes"
_GENERAL_REMEDY = (
    "an orchestrator must do the same at every replay: take what may differ (time, chance, "
    "globals, files, databases) from its input, its context or an activity"
)


class NonDeterministic(AssertionError):
    """An orchestrator does not do the same at every replay; says where, and what to do."""


@dataclass(frozen=True)
class _Asked:
    """An action with its place."""

    action: dict[str, Any]
    place: str

    @property
    def what(self) -> str:
        """The action for reading."""
        return json.dumps({k: v for k, v in self.action.items() if k != "isCanceled"})


class StrictReplay:
    """Remembers what each instance has asked for."""

    def __init__(self, functions: Sequence[LoadedFunction]) -> None:
        self._handles: dict[str, Callable[..., Any]] = {}
        for function in functions:
            if function.trigger["type"] == "orchestrationTrigger":
                renamed = function.trigger.get("orchestration") or function.name
                self._handles[str(renamed).lower()] = function.call
        self._asked: dict[str, list[_Asked]] = {}
        self._looked_at: set[str] = set()

    def check(self, name: str, trigger: str, outcome: Outcome) -> NonDeterministic | None:
        """What is wrong with a turn that has just run; None if nothing is."""
        function = self._handles[name.lower()]
        handle: Any = handles.behind(function)
        if handle is None:
            return None
        if name not in self._looked_at:
            self._looked_at.add(name)
            found = next(suspects(handle.orchestrator_function), None)
            if found is not None:
                return NonDeterministic(f"orchestrator {name!r} is not deterministic: {found}")
        fields = json.loads(trigger)
        started = next(e for e in fields["history"] if e["EventType"] == 0)
        key = f"{fields['instanceId']}/{json.dumps(started.get('OrchestrationInstance'))}"
        # What a converter makes of a value may differ each time, as what is encrypted does.
        hidden: set[str] = set() if handle._df_data_converter is None else {"input"}
        first, second = (
            [
                _Asked({k: v for k, v in each["action"].items() if k not in hidden}, _place(each))
                for each in handles.ask(function, trigger, lambda asked: asked.explain(trigger))
                or ()
            ]
            for _ in range(2)
        )
        before = self._asked.get(key, [])
        self._asked[key] = first
        different = _compare(name, "recorded", before, first, whole=False) or _compare(
            name, "asked at one replay", first, second, whole=True
        )
        if different is not None:
            return different
        known = (handle._df_input_type, handle._df_data_converter)
        user_function = handle.orchestrator_function
        for missing in (
            handles.ask(function, trigger, lambda _: list(forgotten(fields, user_function, *known)))
            or ()
        ):
            asked = _Asked(missing["action"], _place(missing))
            return NonDeterministic(
                f"orchestrator {name!r} has made a task and never yielded it, so it has not run\n"
                f"  made: {asked.what}\n            at {asked.place}\n  write 'yield' before it, "
                "or give it to context.task_all(...) or context.task_any(...)"
            )
        return None


def _compare(
    name: str, told: str, before: Sequence[_Asked], now: Sequence[_Asked], *, whole: bool
) -> NonDeterministic | None:
    for position, old in enumerate(before):
        new = now[position] if position < len(now) else None
        if new is not None and new.what == old.what:
            continue
        asks = "nothing" if new is None else f"{new.what}\n            at {new.place}"
        return _different(name, f"{told}: {old.what}\n            at {old.place}", asks)
    if whole and len(now) > len(before):
        new = now[len(before)]
        return _different(name, f"{told}: nothing", f"{new.what}\n            at {new.place}")
    return None


def _different(name: str, old: str, new: str) -> NonDeterministic:
    return NonDeterministic(
        f"orchestrator {name!r} is not deterministic\n  {old}\n  asks now: {new}\n"
        f"  {_GENERAL_REMEDY}"
    )


def _place(explained: ExplainedAction) -> str:
    if explained["file"] is None:
        return "an unknown place"
    return f"{explained['file']}, line {explained['line']}"


def suspects(function: Callable[..., Any]) -> Iterator[str]:
    """What in a function's code cannot be deterministic: place, code and remedy.

    Source that cannot be read is not looked at.
    """
    try:
        lines, first = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
        file = inspect.getsourcefile(function) or "?"
    except (OSError, TypeError, SyntaxError):
        return
    for node in ast.walk(tree):
        for found, remedy in _faults(node):
            line = first + getattr(node, "lineno", 1) - 1
            name = getattr(function, "__name__", "?")
            yield f"{name} in {Path(file)}, line {line}: {found}; {remedy}"


def _faults(node: ast.AST) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Call):
        called = _dotted(node.func)
        yield from _named(called)
        if called in ("list", "tuple", "enumerate", "iter") and node.args and _is_set(node.args[0]):
            yield f"{ast.unparse(node)} has the order of a set", _SET_REMEDY
    elif isinstance(node, ast.Subscript) and _dotted(node.value) == "os.environ":
        yield "os.environ is read", _REMEDIES["os.environ"]
    elif isinstance(node, ast.For) and _is_set(node.iter):
        yield f"{ast.unparse(node.iter)} is iterated over", _SET_REMEDY
    elif isinstance(node, (ast.ListComp, ast.GeneratorExp, ast.DictComp)):
        for generator in node.generators:
            if _is_set(generator.iter):
                yield f"{ast.unparse(generator.iter)} is iterated over", _SET_REMEDY


def _named(called: str) -> Iterator[tuple[str, str]]:
    for ending in (called, ".".join(called.split(".")[-2:])):
        if ending in _REMEDIES:
            yield f"{called}() is called", _REMEDIES[ending]
            return
    module = called.partition(".")[0]
    if "." in called and module in _MODULES:
        yield f"{called}() is called", _MODULES[module]
    if called.startswith("os.environ."):
        yield f"{called}() is called", _REMEDIES["os.environ"]


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        inner = _dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return node.id if isinstance(node, ast.Name) else ""


def _is_set(node: ast.AST) -> bool:
    if isinstance(node, (ast.Set, ast.SetComp)):
        return True
    return isinstance(node, ast.Call) and _dotted(node.func) in ("set", "frozenset")
