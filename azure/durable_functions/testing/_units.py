"""For tests of one function alone: histories and batches by hand, a context without a history."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from azure.durable_functions._errors import TaskFailedError
from azure.durable_functions._replay import failures
from azure.durable_functions._replay.actions import (
    Action,
    CallActivityAction,
    CallActivityWithRetryAction,
    CallEntityAction,
    CallHttpAction,
    CallSubOrchestratorAction,
    CallSubOrchestratorWithRetryAction,
    CreateTimerAction,
    WaitForExternalEventAction,
)
from azure.durable_functions._replay.context import DurableOrchestrationContext
from azure.durable_functions._replay.executor_errors import exception_of
from azure.durable_functions._replay.tasks import AtomicTask, TaskBase, TaskState, TimerTask
from azure.durable_functions._wire import failure_details, handles, timestamps
from azure.durable_functions._wire.payloads import encode
from azure.durable_functions._wire.vocabulary import FAILURE_LABEL, HistoryEventType
from azure.durable_functions.entity import Entity
from azure.durable_functions.local.worker.raised import describe
from azure.durable_functions.orchestrator import Orchestrator

_BEGINNING = datetime(2026, 1, 15, 10, tzinfo=timezone.utc)


class HistoryBuilder:
    """Writes the history that an orchestrator is to meet, event by event."""

    def __init__(
        self, input: Any = None, *, instance_id: str = "test", now: datetime = _BEGINNING
    ) -> None:
        self._now = timestamps.to_utc(now)
        self._input = encode(input)
        self._instance_id = instance_id
        self._events: list[dict[str, Any]] = []
        self._add(HistoryEventType.ORCHESTRATOR_STARTED)
        self._add(
            HistoryEventType.EXECUTION_STARTED, Name="Orchestrator", Version="", Input=self._input
        )

    def next_episode(self, after: timedelta = timedelta(seconds=1)) -> HistoryBuilder:
        """What follows arrived later, together."""
        self._add(HistoryEventType.ORCHESTRATOR_COMPLETED)
        self._now += after
        return self._add(HistoryEventType.ORCHESTRATOR_STARTED)

    def activity_completed(self, task_id: int, result: Any = None) -> HistoryBuilder:
        """The activity that was called as the `task_id`-th task, from 0, has returned."""
        return self._add(
            HistoryEventType.TASK_COMPLETED, TaskScheduledId=task_id, Result=encode(result)
        )

    def activity_failed(
        self, task_id: int, reason: str = "the activity failed", details: str = ""
    ) -> HistoryBuilder:
        """That activity has raised."""
        return self._add(
            HistoryEventType.TASK_FAILED, TaskScheduledId=task_id, Reason=reason, Details=details
        )

    def sub_orchestration_completed(self, task_id: int, result: Any = None) -> HistoryBuilder:
        """The child that was called as that task has completed."""
        return self._add(
            HistoryEventType.SUB_ORCHESTRATION_INSTANCE_COMPLETED,
            TaskScheduledId=task_id,
            Result=encode(result),
        )

    def sub_orchestration_failed(
        self, task_id: int, reason: str = "the child failed", details: str = ""
    ) -> HistoryBuilder:
        """That child has failed."""
        return self._add(
            HistoryEventType.SUB_ORCHESTRATION_INSTANCE_FAILED,
            TaskScheduledId=task_id,
            Reason=reason,
            Details=details,
        )

    def timer_fired(self, task_id: int) -> HistoryBuilder:
        """The timer that was set as that task has fired."""
        return self._add(HistoryEventType.TIMER_FIRED, TimerId=task_id)

    def event_raised(self, name: str, data: Any = None) -> HistoryBuilder:
        """Somebody has raised an event; without the client's second encoding."""
        return self._add(HistoryEventType.EVENT_RAISED, Name=name, Input=encode(data))

    def trigger(self) -> str:
        """JSON text of the orchestration trigger."""
        return json.dumps(
            {
                "history": self._events,
                "input": json.loads(self._input),
                "instanceId": self._instance_id,
                "isReplaying": False,
                "parentInstanceId": None,
                "upperSchemaVersion": 1,
                "upperSchemaVersionNew": 3,
            }
        )

    def run(self, orchestrator: Any) -> dict[str, Any]:
        """What an orchestrator answers: ``isDone``, ``actions``, ``output``, ``error``..."""
        handle: Any = _user_function(orchestrator)
        if handles.behind(handle) is None:
            handle = Orchestrator.create(handle)
        try:
            text = handle(self.trigger())
        except Exception as error:
            _, label, text = str(error).rpartition(FAILURE_LABEL)
            if not label:
                raise
        answer: dict[str, Any] = json.loads(text)
        return answer

    def _add(self, kind: HistoryEventType, **fields: Any) -> HistoryBuilder:
        moment = timestamps.format_event_moment(self._now)
        common = {"EventType": kind.value, "EventId": -1, "IsPlayed": False, "Timestamp": moment}
        self._events.append({**common, **fields})
        return self


class EntityBatch:
    """Writes the batch of operations that an entity function is to meet."""

    def __init__(self, name: str = "entity", key: str = "key", *, state: Any = None) -> None:
        self._self = {"name": name, "key": key}
        self._state = None if state is None else encode(state)
        self._operations: list[dict[str, Any]] = []

    def add(self, operation: str, input: Any = None) -> EntityBatch:
        """One more operation, as callers send it."""
        text = None if input is None else json.dumps(encode(input))
        number = str(len(self._operations))
        self._operations.append({"name": operation, "input": text, "isSignal": False, "id": number})
        return self

    def trigger(self) -> str:
        """JSON text of the entity trigger."""
        return json.dumps(
            {
                "self": self._self,
                "exists": self._state is not None,
                "state": self._state,
                "batch": self._operations,
            }
        )

    def run(self, entity: Any) -> EntityOutcome:
        """What an entity function makes of the batch."""
        handle: Any = _user_function(entity)
        if handles.behind(handle) is None:
            handle = Entity.create(handle)
        return EntityOutcome(json.loads(handle(self.trigger())))


class EntityOutcome:
    """What a batch has come to."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self.exists = bool(answer["entityExists"])
        state = answer["entityState"]
        self.state = None if state is None else json.loads(state)
        self.results = [
            None if result["isError"] else json.loads(result["result"])
            for result in answer["results"]
        ]
        """One for each operation; None for one that has raised."""
        self.errors = [
            json.loads(result["result"]) if result["isError"] else None
            for result in answer["results"]
        ]
        """Text of what an operation has raised; None for one that has not."""


class FakeOrchestrationContext(DurableOrchestrationContext):
    """A context whose tasks are complete at once; no history, no host.

    Results are given by name: a value, an exception, or a function of the input. Calls without one
    have the result None; events without one are never raised. Timers fire when nothing else is left
    to wait for.
    """

    def __init__(
        self,
        input: Any = None,
        *,
        activities: Mapping[str, Any] | None = None,
        sub_orchestrations: Mapping[str, Any] | None = None,
        events: Mapping[str, Any] | None = None,
        entities: Mapping[str, Any] | None = None,
        http: Any = None,
        instance_id: str = "test",
        now: datetime = _BEGINNING,
    ) -> None:
        builder = HistoryBuilder(input, instance_id=instance_id, now=now)
        super().__init__(**json.loads(builder.trigger()))
        self._results: dict[type[Action], Mapping[str, Any]] = {
            CallActivityAction: activities or {},
            CallActivityWithRetryAction: activities or {},
            CallSubOrchestratorAction: sub_orchestrations or {},
            CallSubOrchestratorWithRetryAction: sub_orchestrations or {},
            WaitForExternalEventAction: events or {},
            CallEntityAction: entities or {},
        }
        self._http_result = http
        self._timers: list[tuple[datetime, TimerTask]] = []
        self.actions: list[Action] = []
        """Everything that was asked for, in order."""

    def run(self, orchestrator: Any) -> Any:
        """Run an orchestrator to its end; gives its output, or raises what it does not handle."""
        function = _user_function(orchestrator)
        if handles.behind(function) is None:
            generator: Any = function(self)
        else:
            generator = handles.ask(function, "{}", lambda asked: asked.orchestrator_function(self))
        if not hasattr(generator, "send"):
            return generator
        try:
            task = generator.send(None)
            while True:
                self._let_it_end(task)
                if task.state is TaskState.FAILED:
                    task = generator.throw(exception_of(task))
                else:
                    task = generator.send(task.result)
        except StopIteration as stop:
            return stop.value

    def _let_it_end(self, task: TaskBase) -> None:
        """Let timers fire, the earliest first, until a task has ended."""
        while not task.is_completed:
            self._timers.sort(key=lambda timer: timer[0])
            if not self._timers:
                raise AssertionError(
                    "the orchestrator waits for what the test does not give: an event of "
                    f"{sorted(self._results[WaitForExternalEventAction]) or 'none'}?"
                )
            fire_at, timer = self._timers.pop(0)
            if not timer.is_cancelled:
                self.current_utc_datetime = max(self.current_utc_datetime, fire_at)
                timer.set_value(is_error=False, value=None)

    def _generate_task(self, action: Action, *unused: Any, **also_unused: Any) -> TaskBase:
        self.actions.append(action)
        number = self._sequence_number
        self._sequence_number += 1
        if isinstance(action, CreateTimerAction):
            timer = TimerTask(number, action)
            fire_at = timestamps.to_utc(timestamps.as_datetime(action.fire_at))
            self._timers.append((fire_at, timer))
            return timer
        task = AtomicTask(number, action)
        if isinstance(action, WaitForExternalEventAction) and self._is_never_raised(action):
            return task
        try:
            value = self._result_of(action)
        except Exception as error:
            task.set_value(is_error=True, value=_failure_of(error, _name_of(action)))
        else:
            task.set_value(is_error=False, value=value)
        return task

    def _is_never_raised(self, action: WaitForExternalEventAction) -> bool:
        return action.external_event_name not in self._results[WaitForExternalEventAction]

    def _result_of(self, action: Action) -> Any:
        if isinstance(action, CallHttpAction):
            return self._http_result
        known = self._results.get(type(action), {})
        found: Any = known.get(_name_of(action))
        if isinstance(found, BaseException):
            raise found
        if not callable(found):
            return found
        text: str | None = getattr(action, "input_", None) or getattr(action, "_input", None)
        answer: Any = found(None if text is None else json.loads(text))
        return answer


def _name_of(action: Any) -> str:
    for name in ("function_name", "external_event_name", "operation"):
        if found := getattr(action, name, ""):
            return str(found)
    return ""


def _failure_of(error: Exception, name: str) -> TaskFailedError:
    """What an orchestrator is thrown when a function has raised this."""
    if isinstance(error, TaskFailedError):
        return error
    told = describe(error)
    event = {
        "Reason": f"{name!r} failed: {told['typeName']}: {told['message']}",
        "Details": told["stack"],
        "FailureDetails": failure_details.of_exception(error)
        if failure_details.is_asked_for(error)
        else told["details"],
    }
    return failures.of_event(event, task_id=None, task_name=name, known=(type(error),))


def _user_function(function: Any) -> Any:
    """What stands behind a decorated function."""
    built = getattr(function, "_function", None)
    return function if built is None else built.get_user_function()
