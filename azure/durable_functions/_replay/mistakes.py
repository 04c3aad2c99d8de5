"""One good sentence for mistakes that users make; imported only where something is wrong.

What Python and libraries say of them is true and does not help: it speaks of classes that the user
has never written. The exception stays the same, and its text gets a sentence behind it.
"""

from __future__ import annotations

import inspect
import linecache
import re
from types import CoroutineType, GeneratorType
from typing import Any

from azure.durable_functions._wire.vocabulary import ActionType

from . import places
from .tasks import TaskBase

_OF_CLASS = re.compile(
    r"""'([\w.]*)'|of type (\w+)|<class '([\w.]+)'>|object (\w+) can't|got (\w+)"""
)
_MISUSED = (
    *("unsupported operand", "not supported between", "not subscriptable", "not iterable"),
    *("has no attribute", "has no len", "JSON serializable", "does not expose a `to_json`"),
    *("can't be used in 'await'", "not callable", "can only yield tasks", "bad operand"),
    *("must be str, not", "can't be interpreted", "cannot be interpreted", "can only concatenate"),
    *("does not support", "is not a container", "must be a string", "argument of type"),
)
_ASYNCIO = {
    "gather": "use 'await context.task_all([...])' in the place of asyncio.gather",
    "wait": "use 'await context.task_any([...])' or task_all in the place of asyncio.wait",
    "as_completed": "use 'await context.task_any([...])' in the place of asyncio.as_completed",
    "sleep": "use 'await context.sleep(seconds)' in the place of asyncio.sleep",
    "wait_for": "give the call timeout=, or use context.with_timeout, in the place of "
    "asyncio.wait_for",
    "timeout": "give the call timeout=, or use context.with_timeout, in the place of "
    "asyncio.timeout",
    "create_task": "await the helper itself; for several at once make their tasks first and use "
    "'await context.task_all([...])'",
    "to_thread": "move it into an activity",
}
_ALIASES = {
    "_GatheringFuture": "gather",
    "ensure_future": "create_task",
    "TaskGroup": "create_task",
    "Task": "create_task",
    "run_in_executor": "to_thread",
}
_CALLED = re.compile(
    r"\b(gather|wait_for|wait|as_completed|sleep|timeout|create_task|ensure_future|TaskGroup"
    r"|to_thread|run_in_executor)\("
)
_MADE = {
    ActionType.CALL_ACTIVITY: "the call of the activity {}",
    ActionType.CALL_ACTIVITY_WITH_RETRY: "the call of the activity {}",
    ActionType.CALL_SUB_ORCHESTRATOR: "the call of the orchestrator {}",
    ActionType.CALL_SUB_ORCHESTRATOR_WITH_RETRY: "the call of the orchestrator {}",
    ActionType.CALL_ENTITY: "the call of the entity {}",
    ActionType.CALL_HTTP: "the HTTP request",
    ActionType.CREATE_TIMER: "the timer",
    ActionType.WAIT_FOR_EXTERNAL_EVENT: "the wait for the event {}",
}


def explain(error: BaseException, fn: Any, output: Any = None) -> None:
    """Put a sentence behind what an orchestrator has raised, if it is a mistake that we know.

    Args:
        error: What ended it; its text is changed.
        fn: The user's function.
        output: What it has returned, if that could not be sent.
    """
    if len(error.args) != 1 or not isinstance(error.args[0], str) or type(error) not in _CHANGED:
        return
    text = error.args[0]
    if _DONE in vars(error) or not any(words in text for words in _MISUSED):
        return
    hint = _hint(text, fn, output)
    if hint is not None:
        setattr(error, _DONE, True)  # a session may come by again
        error.args = (f"{text}; {hint}{places.passed_by(error)}",)


_DONE = "_is_explained"
_CHANGED = (TypeError, AttributeError, ValueError, Exception)


def _hint(text: str, fn: Any, output: Any) -> str | None:
    named = {name.rpartition(".")[2] for found in _OF_CLASS.findall(text) for name in found if name}
    word = "await" if inspect.iscoroutinefunction(inspect.unwrap(fn)) else "yield"
    if named & _task_classes():
        return (
            f"this is a task, which has no result before it is {word}ed: write '{word}' in front "
            "of the call"
        )
    if "coroutine" in named:
        called = _described(_find(output, CoroutineType), "async function")
        return f"this is a coroutine: write 'await' in front of the call of the {called}"
    if "generator" in named:
        called = _described(_find(output, GeneratorType), "helper")
        if word == "await":
            return (
                f"the {called} is a generator, and an async orchestrator can only await: make it "
                "'async def', with 'await' in the place of 'yield'"
            )
        return f"the {called} is a generator: write 'yield from' in front of its call"
    if "list" in named and "'await'" in text:
        return "to wait for several tasks, use 'await context.task_all([...])'"
    if "'await'" in text:
        return "only tasks of the context are awaited; a plain value needs no 'await'"
    return None


def _task_classes() -> set[str]:
    found = {TaskBase.__name__}
    waiting: list[type[Any]] = [TaskBase]
    while waiting:
        children = waiting.pop().__subclasses__()
        found.update(child.__name__ for child in children)
        waiting += children
    return found


def _find(value: Any, kind: type[Any]) -> Any:
    """The first of a kind in a value and the containers that it holds."""
    if isinstance(value, kind):
        return value
    held: list[Any] = []
    if isinstance(value, dict):
        held += value.values()  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    elif isinstance(value, (list, tuple)):
        held += value
    return next((found for each in held if (found := _find(each, kind)) is not None), None)


def _described(called: Any, noun: str) -> str:
    if called is None:
        return noun
    code = getattr(called, "gi_code", None) or called.cr_code
    return f"{noun} {called.__name__!r} ({code.co_filename}, line {code.co_firstlineno})"


def awaited(yielded: object, place: tuple[str, int] | None) -> str:
    """What to do in the place of awaiting something that is no task of the context.

    Args:
        yielded: What was awaited.
        place: File and line of the app's that have done so.
    """
    kind = type(yielded).__name__
    line = "" if place is None else linecache.getline(*place)
    name = _ALIASES.get(kind, kind)
    if name not in _ASYNCIO:
        called = _CALLED.search(line)
        name = "" if called is None else _ALIASES.get(called[1], called[1])
    return _ASYNCIO.get(name, "move it into an activity")


def made(action: dict[str, Any]) -> str:
    """A task that an action stands for, in words: ``the call of the activity 'x'``."""
    name = action.get("functionName") or action.get("externalEventName")
    name = name or action.get("instanceId")
    kind = action.get("actionType")
    words = _MADE.get(ActionType(kind), "the task") if isinstance(kind, int) else "the task"
    return words.format(repr(name))
