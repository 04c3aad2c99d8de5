"""What the executor raises and reports, and in which words."""

from __future__ import annotations

from types import CoroutineType
from typing import Any

from azure.durable_functions._errors import InternalError, NonDurableAwaitError
from azure.durable_functions._wire import shapes
from azure.durable_functions._wire.vocabulary import ReplaySchema

from . import compat
from .tasks import TaskBase


def bad_event(index: int, event: object, error: Exception) -> ValueError:
    kind = event.get("EventType") if shapes.is_object(event) else None
    reason = f"it lacks the field {error}" if isinstance(error, KeyError) else str(error)
    bad = ValueError(f"history event {index} (EventType {kind!r}) cannot be used: {reason}")
    bad.__cause__ = error
    return bad


def exception_of(task: TaskBase) -> BaseException:
    result = task.result
    if isinstance(result, TaskBase):  # a compound that failed with a child's task
        result = result.result
    if not isinstance(result, BaseException):
        raise InternalError(f"task {task.id} failed without an exception")
    return result


def structured(error: BaseException, schema: ReplaySchema) -> dict[str, Any] | None:
    """What is told of a failure beside its text, if it needs that and the host may take it."""
    from azure.durable_functions._wire import failure_details  # with the first failure

    if schema.value < ReplaySchema.V3.value or compat.is_official():
        return None
    return failure_details.of_exception(error) if failure_details.is_asked_for(error) else None


_NO_LOOP = ("no running event loop", "there is no current event loop")


def as_awaited(error: Exception, coroutine: Any) -> Exception:
    """What libraries for asyncio raise in a coroutine that no event loop runs, in our words."""
    is_foreign = isinstance(error, RuntimeError) and str(error).lower().startswith(_NO_LOOP)
    if not is_foreign or not isinstance(coroutine, CoroutineType):
        return error
    from . import places

    place = places.passed_by(error)
    told = NonDurableAwaitError(f"{_AWAITS}an event loop ({error}){place}{_MOVE_IT}")
    told.__cause__ = error
    return told


_AWAITS = "an orchestrator can only await tasks that its context made, not "


_MOVE_IT = "; move it into an activity"


def not_a_task(yielded: object, generator: Any) -> TypeError:
    if isinstance(generator, CoroutineType):
        from . import mistakes, places

        found = places.of(generator)
        place = "" if found is None else f", at {found[0]}, line {found[1]}"
        return NonDurableAwaitError(
            f"{_AWAITS}{yielded!r}{place}; {mistakes.awaited(yielded, found)}"
        )
    several = isinstance(yielded, (list, tuple))
    hint = "; to wait for several tasks, yield context.task_all(...)" if several else ""
    kind: str = type(yielded).__name__  # pyright: ignore[reportUnknownArgumentType]
    return TypeError(
        f"An orchestrator can only yield tasks that its context made, got {kind}{hint}"
    )
