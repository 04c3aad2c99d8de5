"""What a turn changes: its only mutable value, which an exception makes worthless.

Its verbs (`schedule_activity`, `set_timer`) note what will happen; nothing does before `commits`
has stored it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from azure.durable_functions._wire.vocabulary import HistoryEventType
from azure.durable_functions.local.engine import clock
from azure.durable_functions.local.engine.invoker import HTTP_ACTIVITY
from azure.durable_functions.local.engine.texts import entity_requests, events, failures
from azure.durable_functions.local.engine.texts.entity_requests import Sender
from azure.durable_functions.local.store.history import Leaf, OpenTask
from azure.durable_functions.local.store.instances import Instance
from azure.durable_functions.local.store.messages import Activity, NewMessage

from . import misfits
from .batch import Batch
from .material import Material

Status = Literal["Pending", "Running", "Suspended", "Completed", "Failed", "Terminated"]
REWOUND = "rewound"
"""Kind of an open task that the next turn starts again."""
_POLLING_DELAY = timedelta(seconds=0.1)
"""Time between the moment at which the cloud shows a message and the moment it takes it."""


class UnknownEntity(Exception):
    """A signal to an entity function that is not registered; the text lists those that are."""


class ChildStart(NamedTuple):
    """A sub-orchestration that starts with the commit."""

    instance: Instance
    start: NewMessage


class NextGeneration(NamedTuple):
    """Continue-as-new takes effect."""

    input: str | None
    """JSON text of its input."""


class Reported(NamedTuple):
    """What is known of an exception that has ended the instance."""

    details: dict[str, Any] | None
    """For people."""
    to_parent: dict[str, Any] | None
    """``FailureDetails`` for the parent's history."""
    structured: dict[str, Any] | None = None
    """The same, where the answer itself has it in the structured form."""
    reason: str | None = None
    """For the parent instead of the output."""


@dataclass
class Changes:
    """What one turn changes; committed as one transaction, or dropped."""

    material: Material
    batch: Batch
    scheduled: list[tuple[int, str]] = field(default_factory=list)
    """Number and event of everything that is scheduled; the history sorts it by number."""
    next_task_id: int = 0
    new_leaves: list[Leaf] = field(default_factory=list)
    """Actions started in this turn."""
    action_count: int = 0
    """Actions known so far, compounds counted as one."""
    opened: dict[int, OpenTask] = field(default_factory=dict)
    closed: set[int] = field(default_factory=set)
    """Tasks that the batch or the answer has finished."""
    cancelled: set[int] = field(default_factory=set)
    """Timers that the answer has cancelled."""
    activities: list[Activity] = field(default_factory=list)
    children: list[ChildStart] = field(default_factory=list)
    to_self: list[NewMessage] = field(default_factory=list)
    """Messages to the instance itself; void when it ends."""
    to_entities: list[NewMessage] = field(default_factory=list)
    """Sent even if the instance ends."""
    status: Status = "Running"
    output: str | None = None
    """JSON text; of a suspended instance the reason, of a waiting one a note."""
    custom_status: str | None = None
    reported: Reported | None = None
    next_generation: NextGeneration | None = None
    repeats_last_answer: bool = False
    """The answer is that of the last replay, as in a fan-out whose other results are still open."""

    @classmethod
    def of(cls, material: Material, batch: Batch) -> Changes:
        """The changes of a turn before anything is decided; see also `retries.begin`."""
        instance = material.instance
        # The reason of a suspension stays shown; a note of why the instance waits does not.
        output = None if misfits.is_note(instance.output) else instance.output
        return cls(
            material,
            batch,
            next_task_id=instance.next_task_id,
            action_count=instance.action_count,
            closed=set(batch.closed),
            output=batch.pauses.reason if batch.pauses.has_changed else output,
            custom_status=instance.custom_status,
        )

    def end(self, status: Status, output: str | None) -> None:
        """End the instance, or its turn, with a status."""
        self.status = status
        self.output = None if output is None else events.storable(output)

    def take_task_id(self) -> int:
        """The next number of the generation (protocol.md 8.1)."""
        task_id = self.next_task_id
        self.next_task_id += 1
        return task_id

    def open(self, task_id: int, kind: str, retry: dict[str, Any] | None = None) -> None:
        """Note that something is scheduled and not finished."""
        text = None if retry is None else events.dump(retry)
        self.closed.discard(task_id)
        self.opened[task_id] = OpenTask(task_id, kind, text)

    def close(self, task_id: int) -> None:
        """Note that something has finished."""
        self.opened.pop(task_id, None)
        self.closed.add(task_id)  # a rewound task may stand in the store too

    def still_open(self) -> bool:
        """Whether something that keeps the instance from ending has not finished (8.2)."""
        return bool(self.opened) or any(
            task_id not in self.closed for task_id in self.material.open_tasks
        )

    def find_open(self, task_id: int | None) -> OpenTask | None:
        """The open task of a number; None if it has finished, or never was."""
        if task_id is None or task_id in self.closed:
            return None
        return self.opened.get(task_id) or self.material.open_tasks.get(task_id)

    def schedule_activity(
        self, name: str, input_text: str | None, retry: dict[str, Any] | None = None
    ) -> int:
        """Schedule an activity; one that is not registered fails in the next episode."""
        task_id = self.take_task_id()
        self.schedule_activity_as(task_id, name, input_text, retry)
        return task_id

    def schedule_activity_as(
        self,
        task_id: int,
        name: str,
        input_text: str | None,
        retry: dict[str, Any] | None = None,
    ) -> None:
        """Schedule an activity under a number that it has had before, or was just given."""
        kept = events.dump([input_text]) if self.material.limits.store_inputs else None
        self.scheduled.append(
            (task_id, events.task_scheduled(self.material.now, task_id, name, kept))
        )
        self.open(task_id, "activity", retry)
        input_text = None if input_text is None else events.storable(input_text)
        registered = self.material.registry.find("activity", name)
        if registered is None:
            explanation = self.material.registry.unknown_call("activity", name)
            failure = failures.unknown_activity(name, explanation)
            self.deliver(
                HistoryEventType.TASK_FAILED,
                task_id,
                events.task_failed(self.material.now, task_id, failure),
            )
        else:
            self.activities.append(
                Activity(
                    self.material.instance.instance_id,
                    task_id,
                    self.material.instance.execution_id,
                    registered,
                    input_text,
                )
            )

    def schedule_http_as(self, task_id: int, request: Any) -> None:
        """Send an HTTP request as an activity of the host's own (protocol.md 12)."""
        kept = events.dump([request]) if self.material.limits.store_inputs else None
        self.scheduled.append(
            (task_id, events.task_scheduled(self.material.now, task_id, HTTP_ACTIVITY, kept))
        )
        self.open(task_id, "activity")
        self.activities.append(
            Activity(
                self.material.instance.instance_id,
                task_id,
                self.material.instance.execution_id,
                HTTP_ACTIVITY,
                events.dump(request),
            )
        )

    def set_timer(self, fire_at: datetime, retry: dict[str, Any] | None = None) -> int:
        """Set a timer; one whose time has passed fires in the next episode."""
        task_id = self.take_task_id()
        self.set_timer_as(task_id, fire_at, retry)
        return task_id

    def set_timer_as(
        self, task_id: int, fire_at: datetime, retry: dict[str, Any] | None = None
    ) -> None:
        """Set a timer under a number that it has had before, or was just given."""
        self.scheduled.append((task_id, events.timer_created(self.material.now, task_id, fire_at)))
        self.open(task_id, "timer", retry)
        early = self.material.limits.early_timers
        fires_at = fires_early_at(self.material.now, fire_at) if early else fire_at
        self.deliver(
            HistoryEventType.TIMER_FIRED,
            task_id,
            events.timer_fired(self.material.now, task_id, fire_at),
            # One that is due already must not wait for a clock that may be set back.
            due_at=None if fires_at <= self.material.now else clock.stored(fires_at),
        )

    def send_to_entity(
        self, entity: str, operation: str, input_text: str | None, *, is_signal: bool
    ) -> int:
        """Send an operation to an entity (protocol.md 5.6); an answer comes as an event.

        A call of an entity that is not registered is answered with an error.

        Raises:
            UnknownEntity: A signal to one that is not registered; it takes no number.
        """
        task_id = self.next_task_id
        self.send_to_entity_as(task_id, entity, operation, input_text, is_signal=is_signal)
        return self.take_task_id()

    def send_to_entity_as(
        self,
        task_id: int,
        entity: str,
        operation: str,
        input_text: str | None,
        *,
        is_signal: bool,
    ) -> None:
        """Send an operation under a number that it has had before, or is just given."""
        name = entity[1:].partition("@")[0]
        is_known = self.material.registry.find("entity", name) is not None
        if is_signal and not is_known:
            raise UnknownEntity(self.material.registry.explained("entity", name))
        sender = Sender(self.material.instance.instance_id, self.material.instance.execution_id)
        request_id, request = entity_requests.new_request(
            self.material.now,
            operation,
            None if input_text is None else events.dump(input_text),
            is_signal=is_signal,
            sender=sender,
        )
        self.scheduled.append(
            (task_id, events.event_sent(self.material.now, task_id, entity, request))
        )
        if is_known:
            self.to_entities.append(entity_requests.to_entity(self.material.now, entity, request))
        else:
            explanation = events.dump(self.material.registry.unknown_call("entity", name))
            answer = entity_requests.answer(
                self.material.now, sender, request_id, explanation, is_error=True
            )
            self.to_self.append(answer)

    def deliver(
        self,
        event_type: HistoryEventType,
        task_id: int | None,
        event: str,
        due_at: str | None = None,
    ) -> None:
        """Send a message to the instance itself."""
        self.to_self.append(
            NewMessage(
                instance_id=self.material.instance.instance_id,
                execution_id=self.material.instance.execution_id,
                event_type=event_type.value,
                created_at=self.material.moment,
                event=event,
                task_id=task_id,
                due_at=due_at,
            )
        )


def fires_early_at(now: datetime, fire_at: datetime) -> datetime:
    """When a timer fires in the cloud, whose queue waits for whole seconds.

    By the time that the message is sent, a whole number of seconds is not left any more.
    """
    whole = max(fire_at - now - timedelta(microseconds=1), timedelta()) // timedelta(seconds=1)
    return min(fire_at, now + timedelta(seconds=whole) + _POLLING_DELAY)
