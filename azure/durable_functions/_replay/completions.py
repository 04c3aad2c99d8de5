"""How an event of the history completes a task. Source: sdk.md 3.2, 3.3, 3.9, 3.12."""

from __future__ import annotations

import json
import warnings
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from azure.durable_functions._errors import FailureDetails
from azure.durable_functions._wire import payloads, shapes
from azure.durable_functions._wire.df_serialization import df_loads, has_advised
from azure.durable_functions._wire.entity_messages import ResponseMessage
from azure.durable_functions._wire.vocabulary import HistoryEventType

from .actions import CallEntityAction
from .tasks import AtomicTask, RetryAbleTask, TaskBase

if TYPE_CHECKING:
    from .context import DurableOrchestrationContext


_CODEC = df_loads


def decoder() -> Callable[..., Any]:
    """What reads payloads: the short way, unless a test has put something in the codec's place."""
    if df_loads is not _CODEC:
        return df_loads
    return payloads.decode_advised if has_advised() else payloads.decode


class Completion(NamedTuple):
    """An event that completes a task."""

    event: Mapping[str, Any]
    is_played: bool
    """Whether an earlier episode has seen it."""
    position: int | None = None
    """Where in the history it stands."""
    source: Any = None
    """The object that the event was made from, where a framework may still change it."""


class Deferred:
    """Completions of one key that nobody waits for yet, first in first out (sdk.md Q10).

    A call delivers the first to the task that waits now. It can be called as what the official
    package keeps in this place, since frameworks put mappings of their own around it.
    """

    def __init__(
        self,
        context: DurableOrchestrationContext,
        key: int | str,
        waiting: deque[Completion],
    ) -> None:
        self._context = context
        self._key = key
        self.waiting = waiting

    def __call__(self) -> None:
        """Deliver the first; without effect once all are."""
        if not self.waiting:
            return
        context = self._context
        if context._as_official:  # one completion a key, the last one, and it stays there (Q10)
            completion = self.waiting[-1]
        else:
            completion = self.waiting.popleft()
            kept = context.deferred_tasks
            # A framework's mapping decides by itself how long it keeps what is in it.
            if not self.waiting and type(kept) is dict and kept.get(self._key) is self:
                del kept[self._key]
        context._complete(self._key, completion)


def apply(task: TaskBase, completion: Completion, known: Sequence[Any]) -> None:
    """Complete the task with what the event says.

    A payload that cannot be decoded fails the task with the decoder's error, so that the
    orchestrator can catch it (sdk.md Q40).

    Args:
        task: Which one.
        completion: The event.
        known: Where the class of a failure is looked for, beside what the task brings.
    """
    event = completion.event
    task.set_is_played(completion.is_played)
    task._ended_at = completion.position
    try:
        is_error, value = READ[event["EventType"]](task, event, known)
    except Exception as error:  # user classes decode themselves: from_json may raise anything
        is_error, value = True, error
        task._is_unreadable = True
    task.set_value(is_error, value)


def keep(context: DurableOrchestrationContext, key: int | str, completion: Completion) -> None:
    """Remember a completion that nobody waits for yet.

    Events wait in a queue per name, first in first out (sdk.md Q10). A number that was given
    already belongs to a task that has finished: that completion is a duplicate (Q13).
    """
    if isinstance(key, int):
        warnings.warn(
            f"Potential duplicate Task completion for TaskId: {key}", UserWarning, stacklevel=2
        )
        if key < context._sequence_number:
            return
    kept = context.deferred_tasks
    # Asked past a framework's own `__getitem__`, which may take a look for a delivery.
    before: Any = dict[Any, Any].get(kept, key) if isinstance(kept, dict) else None
    waiting = before.waiting if type(before) is Deferred else deque[Completion]()
    waiting.append(completion)
    kept[key] = Deferred(context, key, waiting)


def is_entity_call(task: object) -> bool:
    """Whether the task waits for an entity's answer."""
    return isinstance(task, AtomicTask) and task._api_name == CallEntityAction.__name__


def _read_result(
    task: TaskBase, event: Mapping[str, Any], known: Sequence[Any]
) -> tuple[bool, Any]:
    return False, _decode(event.get("Result"), task)


def _read_timer(task: TaskBase, event: Mapping[str, Any], known: Sequence[Any]) -> tuple[bool, Any]:
    return False, None


def _read_event(task: TaskBase, event: Mapping[str, Any], known: Sequence[Any]) -> tuple[bool, Any]:
    if not is_entity_call(task):
        return False, _decode_event(event.get("Input"), task)
    answer = _decode_answer(event.get("Input"))
    if not answer.is_exception:
        return False, _decode(answer.result, task)
    # The expected type is that of a result, not of an error's text (sdk.md Q34).
    text = None if answer.result is None else decoder()(answer.result)
    from . import failures  # with the first failure; most replays have none

    failure = FailureDetails("Exception", str(text))
    error = failures.make(text, failure, (), task_id=task.id, task_name=_name_of(task))
    return True, error


def _read_failure(
    task: TaskBase, event: Mapping[str, Any], known: Sequence[Any]
) -> tuple[bool, Any]:
    from . import failures

    sources: list[Any] = []
    asking: TaskBase | None = task
    while asking is not None:
        sources += asking._failure_sources
        asking = asking.parent
    error = failures.of_event(
        event, task_id=task.id, task_name=_name_of(task), known=[*sources, *known]
    )
    return True, error


def _name_of(task: TaskBase) -> str | None:
    """Name of the function that a task calls, or the entity's operation.

    Later attempts of a retried task have no action of their own; the first one has.
    """
    if isinstance(task.parent, RetryAbleTask):
        task = task.parent.children[0]
    action = task._get_action() if isinstance(task, AtomicTask) else None
    return getattr(action, "function_name", None) or getattr(action, "operation", None)


def _decode_event(text: str | None, task: TaskBase) -> Any:
    """An event's value; one of the client's, which encodes twice, fits its type only then.

    Without an expected type nothing changes: the official package gives the text too (sdk.md 5.4).
    """
    expected: Any = task._expected_output_type
    if text is None or expected in (None, str, Any):
        return _decode(text, task)
    inner = payloads.parse(text)
    if isinstance(inner, str):
        try:
            return decoder()(inner, expected)
        except ValueError:
            pass  # a text that is no JSON: the value itself
    return _decode(text, task)


def _decode(text: str | None, task: TaskBase) -> Any:
    return None if text is None else decoder()(text, task._expected_output_type)


def _decode_answer(text: str | None) -> ResponseMessage:
    fields: Any = None if text is None else json.loads(text)
    if not shapes.is_object(fields):
        raise ValueError(f"An entity's answer must be a JSON object, got {text!r}")
    return ResponseMessage.from_dict({"result": None, **fields})


READ: Mapping[int, Callable[[TaskBase, Mapping[str, Any], Sequence[Any]], tuple[bool, Any]]] = {
    HistoryEventType.TASK_COMPLETED: _read_result,
    HistoryEventType.SUB_ORCHESTRATION_INSTANCE_COMPLETED: _read_result,
    HistoryEventType.TIMER_FIRED: _read_timer,
    HistoryEventType.EVENT_RAISED: _read_event,
    HistoryEventType.TASK_FAILED: _read_failure,
    HistoryEventType.SUB_ORCHESTRATION_INSTANCE_FAILED: _read_failure,
}
