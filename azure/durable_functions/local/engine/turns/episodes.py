"""One turn of an instance as it is put together: what was read, and what is to be changed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from azure.durable_functions._wire.vocabulary import HistoryEventType
from azure.durable_functions.local.engine import clock
from azure.durable_functions.local.engine.descendants import Order
from azure.durable_functions.local.engine.invoker import HTTP_ACTIVITY
from azure.durable_functions.local.engine.registry import Registry
from azure.durable_functions.local.engine.settings import Limits
from azure.durable_functions.local.engine.texts import entity_requests, events, failures
from azure.durable_functions.local.engine.texts.entity_requests import Sender
from azure.durable_functions.local.engine.texts.new_instance import SOURCE_TAG, tags_of
from azure.durable_functions.local.store.history import Leaf, OpenTask
from azure.durable_functions.local.store.instances import Instance
from azure.durable_functions.local.store.messages import Activity, Message, NewMessage

_POLLING_DELAY = timedelta(seconds=0.1)
"""Between the moment at which the cloud shows a message and its being taken."""


def fires_early_at(now: datetime, fire_at: datetime) -> datetime:
    """When a timer fires in the cloud, whose queue waits for whole seconds.

    By the time that the message is sent, a whole number of seconds is not left any more.
    """
    whole = max(fire_at - now - timedelta(microseconds=1), timedelta()) // timedelta(seconds=1)
    return min(fire_at, now + timedelta(seconds=whole) + _POLLING_DELAY)


REWOUND = "rewound"
"""Kind of an open task that the next episode starts again."""


class UnknownEntity(Exception):
    """A signal to an entity function that is not registered; the text lists those that are."""


@dataclass(frozen=True)
class ChildStart:
    """A sub-orchestration to be started."""

    instance: Instance
    start: NewMessage


_CHANGED_BY_ANSWERS = (
    *("work", "next_task_id", "new_leaves", "action_count", "opened", "closed", "cancelled"),
    *("activities", "children", "outgoing", "letters"),
)


@dataclass
class Episode:
    """What one turn reads and changes; committed as one transaction, or not at all."""

    instance: Instance
    history: list[str]
    leaves: list[Leaf]
    open_tasks: dict[int, OpenTask]
    now: datetime
    registry: Registry
    limits: Limits

    batch: list[str] = field(default_factory=list)
    """Events of the messages taken, not played."""
    batch_types: list[int] = field(default_factory=list)
    work: list[tuple[int, str]] = field(default_factory=list)
    """Task id and event of everything scheduled."""
    consumed: list[int] = field(default_factory=list)
    next_task_id: int = 0
    new_leaves: list[Leaf] = field(default_factory=list)
    action_count: int = 0
    opened: dict[int, OpenTask] = field(default_factory=dict)
    closed: set[int] = field(default_factory=set)
    cancelled: set[int] = field(default_factory=set)
    activities: list[Activity] = field(default_factory=list)
    children: list[ChildStart] = field(default_factory=list)
    outgoing: list[NewMessage] = field(default_factory=list)
    """To the instance itself; void when it ends."""
    letters: list[NewMessage] = field(default_factory=list)
    """To entities; sent in any case."""
    leaves_messages: bool = False
    """There are more, which are for the turn behind this one."""
    orders: list[Order] = field(default_factory=list)
    """To be passed on to the children."""
    is_known: bool = False
    """It asks for what it has asked for already, as the wait for the rest of a fan-out."""
    status: str = "Running"
    output: str | None = None
    custom_status: str | None = None
    failure_details: dict[str, Any] | None = None
    """What the parent is told of the exception that has ended it."""
    structured: dict[str, Any] | None = None
    """The same, where the answer itself has it in the structured form."""
    failure: dict[str, Any] | None = None
    """What people are told of that exception."""
    reason: str | None = None
    """What the parent is told in the place of the output."""
    continues: bool = False
    """Continue-as-new takes effect: the next generation begins."""
    continue_with: str | None = None
    """JSON text given to it."""
    dropped_events: list[str] = field(default_factory=list)
    """Names of those that nobody has waited for, as `continues` takes effect."""
    after: Instance | None = None
    """The row that is committed, if the instance goes on."""
    appended: list[str] = field(default_factory=list)
    """Events that are committed."""
    started: str = field(init=False)
    """The event with which it begins."""
    stored_now: str = field(init=False)
    """The time of the episode as the store keeps it."""

    def __post_init__(self) -> None:
        self.started = events.orchestrator_started(self.now)
        self.stored_now = clock.stored(self.now)
        self.next_task_id = self.instance.next_task_id
        self.action_count = self.instance.action_count
        self.custom_status = self.instance.custom_status
        self.output = self.instance.output  # the reason of a suspension stays shown

    def changes(self) -> dict[str, Any]:
        """Copies of everything that an answer may change, for `undo`."""
        now = vars(self)
        return {name: type(now[name])(now[name]) for name in _CHANGED_BY_ANSWERS}

    def undo(self, before: dict[str, Any]) -> None:
        """Go back to what `changes` gave."""
        vars(self).update(before)

    @property
    def is_first(self) -> bool:
        """Whether the generation begins with this episode."""
        return not self.history

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
        return bool(self.opened) or any(task_id not in self.closed for task_id in self.open_tasks)

    def find_open(self, task_id: int | None) -> OpenTask | None:
        """The open task of a number; None if it has finished, or never was."""
        if task_id is None or task_id in self.closed:
            return None
        return self.opened.get(task_id) or self.open_tasks.get(task_id)

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
        kept = events.dump([input_text]) if self.limits.store_inputs else None
        self.work.append((task_id, events.task_scheduled(self.now, task_id, name, kept)))
        self.open(task_id, "activity", retry)
        input_text = None if input_text is None else events.storable(input_text)
        registered = self.registry.find("activity", name)
        if registered is None:
            explanation = self.registry.unknown_call("activity", name)
            failure = failures.unknown_activity(name, explanation)
            self.deliver(
                HistoryEventType.TASK_FAILED,
                task_id,
                events.task_failed(self.now, task_id, failure),
            )
        else:
            self.activities.append(
                Activity(
                    self.instance.instance_id,
                    task_id,
                    self.instance.execution_id,
                    registered,
                    input_text,
                )
            )

    def schedule_http_as(self, task_id: int, request: Any) -> None:
        """Send an HTTP request as an activity of the host's own (protocol.md 12)."""
        kept = events.dump([request]) if self.limits.store_inputs else None
        self.work.append((task_id, events.task_scheduled(self.now, task_id, HTTP_ACTIVITY, kept)))
        self.open(task_id, "activity")
        self.activities.append(
            Activity(
                self.instance.instance_id,
                task_id,
                self.instance.execution_id,
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
        self.work.append((task_id, events.timer_created(self.now, task_id, fire_at)))
        self.open(task_id, "timer", retry)
        early = self.limits.early_timers
        fires_at = fires_early_at(self.now, fire_at) if early else fire_at
        self.deliver(
            HistoryEventType.TIMER_FIRED,
            task_id,
            events.timer_fired(self.now, task_id, fire_at),
            # One that is due already must not wait for a clock that may be set back.
            due_at=None if fires_at <= self.now else clock.stored(fires_at),
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
        is_known = self.registry.find("entity", name) is not None
        if is_signal and not is_known:
            raise UnknownEntity(self.registry.explained("entity", name))
        sender = Sender(self.instance.instance_id, self.instance.execution_id)
        request_id, request = entity_requests.new_request(
            self.now,
            operation,
            None if input_text is None else events.dump(input_text),
            is_signal=is_signal,
            sender=sender,
        )
        self.work.append((task_id, events.event_sent(self.now, task_id, entity, request)))
        if is_known:
            self.letters.append(entity_requests.to_entity(self.now, entity, request))
        else:
            explanation = events.dump(self.registry.unknown_call("entity", name))
            answer = entity_requests.answer(
                self.now, sender, request_id, explanation, is_error=True
            )
            self.outgoing.append(answer)

    def deliver(
        self,
        event_type: HistoryEventType,
        task_id: int | None,
        event: str,
        due_at: str | None = None,
    ) -> None:
        """Send a message to the instance itself."""
        self.outgoing.append(
            NewMessage(
                instance_id=self.instance.instance_id,
                execution_id=self.instance.execution_id,
                event_type=event_type.value,
                created_at=self.stored_now,
                event=event,
                task_id=task_id,
                due_at=due_at,
            )
        )

    def events_since(self, seen: int) -> str:
        """JSON text of the events behind the first `seen` ones, those of this episode included."""
        new = [*self.history[seen:], self.started, *self.batch]
        return f"[{','.join(new)}]"

    @property
    def event_count(self) -> int:
        """How many events the trigger holds."""
        return len(self.history) + 1 + len(self.batch)

    def trigger(self) -> str:
        """JSON text of the orchestration trigger (protocol.md 1): a join of stored texts."""
        started = self.batch[0] if self.is_first else self.history[1]
        begin, end = trigger_around(self.instance, self.limits, started, is_first=self.is_first)
        return f"{begin}{','.join([*self.history, self.started, *self.batch])}{end}"

    def new_history(self) -> list[str]:
        """Events to append, in the order of protocol.md 2.4, as later episodes see them."""
        appended = [self.started]
        appended += [events.played(event) for event in self.batch]
        appended += [event for _, event in sorted(self.work, key=lambda item: item[0])]
        if self.status in events.STATUS_NUMBERS and self.status not in ("Running", "Suspended"):
            appended.append(
                events.execution_completed(
                    self.now,
                    self.next_task_id,
                    self.status,
                    self.output,
                    self.structured,
                    self.failure,
                )
            )
        # The first turn of a later generation has such an event already (extension-engine.md Y40).
        if self.work or not (self.is_first and self.instance.continued):
            appended.append(events.orchestrator_completed(self.now))
        return appended


def _parsed(text: str | None) -> str:
    """An input as the extension's parser gives it back, whose text is stored as it came (Y8)."""
    if text is None or (text.startswith('"') and "\\u" not in text and "\\/" not in text):
        return text or "null"
    return events.parsed(text)


_SPANS = '"longRunningTimerIntervalDuration":"3.00:00:00","maximumShortTimerDuration":"6.00:00:00",'
_NO_SPANS = '"longRunningTimerIntervalDuration":"00:00:00","maximumShortTimerDuration":"00:00:00",'
_BEGIN_OF_STARTED = '{"OrchestrationInstance":'


def trigger_around(
    instance: Instance, limits: Limits, started: str, *, is_first: bool = False
) -> tuple[str, str]:
    """JSON text of an orchestration trigger: before its events, and behind them.

    Members and their order are the extension's (extension-engine.md Y1-Y7).

    Args:
        instance: Of the trigger.
        limits: Of the host.
        started: The event with which the generation begins.
        is_first: Whether this is the generation's first turn.
    """
    # What earlier releases have begun, told by its first event, may have timers of any length.
    spans = _SPANS if started.startswith(_BEGIN_OF_STARTED) else _NO_SPANS
    source_id = (tags_of(started) or {}).get(SOURCE_TAG)
    parent = None if instance.parent is None else json.loads(instance.parent)
    parent_id = None if parent is None else parent["OrchestrationInstance"]["InstanceId"]
    end = (
        f'],"input":{_parsed(instance.input)},'
        f'"instanceId":{events.dump(instance.instance_id)},'
        f'"isReplaying":{"false" if is_first else "true"},'
        f'"parentInstanceId":{events.dump(parent_id)},'
        f'"sourceInstanceId":{events.dump(source_id)},'
        f'"upperSchemaVersion":1,"upperSchemaVersionNew":3,{spans}'
        '"defaultHttpAsyncRequestSleepTimeMillseconds":'
        f"{limits.http_poll_milliseconds}}}"
    )
    return '{"history":[', end


def take(episode: Episode, message: Message) -> None:
    """Let a message become an event of the episode."""
    episode.batch.append(message.event)
    episode.batch_types.append(message.event_type)
    episode.consumed.append(message.message_id)
