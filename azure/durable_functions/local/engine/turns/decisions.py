"""What an orchestrator's answer makes the host do: one function per action type.

Source: protocol.md 4 and 8.6.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from azure.durable_functions._wire import shapes, timestamps
from azure.durable_functions._wire.vocabulary import ActionType
from azure.durable_functions.local.engine.texts import events
from azure.durable_functions.local.engine.texts.answers import Action, ProtocolError, flatten
from azure.durable_functions.local.store.history import Leaf

from . import retries, retry_records
from .changes import REWOUND, Changes
from .children import start_child, start_child_as

Decide = Callable[[Changes, Action], "int | None"]
"""Starts an action; gives the id it took, or None for one that takes none."""


class NonDeterminism(Exception):
    """An orchestrator's answer contradicts what its history records."""

    def __init__(self, text: str, position: int | None = None) -> None:
        """Say what differs, and the place in the list of actions where the code asks for it."""
        super().__init__(text)
        self.position = position


def apply(changes: Changes, actions: Sequence[Action], *, is_suffix: bool = False) -> None:
    """Check the actions that are known already, start the new ones, cancel timers.

    Args:
        changes: Of the orchestrator.
        actions: What it asks for.
        is_suffix: These are only the new ones; the others are known to be as they were.

    Raises:
        NonDeterminism: A known action is missing or has changed.
        ProtocolError: An action is of no known type or lacks a field.
        UnknownEntity: A signal to an entity function that is not registered.

    After an exception the changes are of no use: whoever catches it begins with fresh ones.
    """
    new = actions
    if not is_suffix:
        known = list(flatten(actions[: changes.action_count]))
        _verify(changes.material.leaves, known, len(actions), changes.action_count)
        _redo(changes, known)
        new = actions[changes.action_count :]
    for leaf in flatten(new):
        _start(changes, leaf)
    changes.action_count = len(actions) + (changes.action_count if is_suffix else 0)
    leaves = changes.new_leaves
    if not is_suffix:
        leaves = [*changes.material.leaves, *changes.new_leaves]
    for recorded, action in zip(leaves, flatten(actions), strict=False):
        if action.get("isCanceled") and recorded.task_id is not None:
            _cancel_timer(changes, recorded.task_id)


def apply_increment(
    changes: Changes, actions: Sequence[Action], cancelled_timers: Sequence[int]
) -> None:
    """Start what a session asks for in addition, and cancel timers.

    There is nothing to check: a session never runs the same code twice. Raises as `apply`.
    """
    for leaf in flatten(actions):
        _start(changes, leaf)
    changes.action_count += len(actions)
    for task_id in cancelled_timers:
        _cancel_timer(changes, task_id)


def _start(changes: Changes, action: Action) -> None:
    action_type = action.get("actionType")
    decide = DECIDE.get(action_type) if isinstance(action_type, int) else None
    if decide is None:
        raise ProtocolError(f"action type {action_type!r} is not one that this host knows")
    try:
        task_id = decide(changes, action)
    except KeyError as error:
        raise ProtocolError(f"an action of type {action_type} lacks the field {error}") from None
    changes.new_leaves.append(Leaf(int(action_type or 0), name_of(action), task_id))


def name_of(action: Action) -> str | None:
    """What an action is told by, beside its type."""
    name = action.get("functionName") or action.get("externalEventName")
    if name is None and "instanceId" in action and "operation" in action:
        name = action["instanceId"]
    return None if name is None else events.storable(str(name))


def groups_of(actions: Sequence[Action]) -> list[tuple[int, int]]:
    """Where those that are all waited for together begin and end, in the list of `flatten`."""
    groups: list[tuple[int, int]] = []

    def walk(listed: Sequence[Action], first: int) -> int:
        for action in listed:
            end = first + 1
            if action.get("actionType") in (ActionType.WHEN_ANY, ActionType.WHEN_ALL):
                end = walk(action["compoundActions"], first)
                if action["actionType"] == ActionType.WHEN_ALL:
                    groups.append((first, end))
            first = end
        return first

    walk(actions, 0)
    return groups


def count_of(leaves: Sequence[Leaf], actions: Sequence[Action], known: int) -> int:
    """How many of the actions, compounds counted as one, the leaves stand for.

    Args:
        leaves: That are known.
        actions: What the code asks for.
        known: How many actions have been known.

    Raises:
        NonDeterminism: The code does not ask for the leaves.
    """
    found: list[Action] = []
    count = 0
    while len(found) < len(leaves) and count < len(actions):
        found += flatten([actions[count]])
        count += 1
    _verify(leaves, found, len(actions), known)
    if len(found) > len(leaves):
        raise NonDeterminism("the code asks for more at once than the history has")
    return count


def _verify(leaves: Sequence[Leaf], known: Sequence[Action], listed: int, counted: int) -> None:
    """Compare the answer with what was recorded (protocol.md 8.6, host.md 8.9)."""
    for position, leaf in enumerate(leaves):
        if position >= len(known):
            raise NonDeterminism(
                f"the history has {_describe(leaf.action_type, leaf.name, leaf.task_id)}, but the "
                f"code no longer asks for it (it lists {listed} actions, "
                f"{counted} were known)"
            )
        action = known[position]
        name = name_of(action)
        same_name = (name or "").lower() == (leaf.name or "").lower()
        if action.get("actionType") != leaf.action_type or not same_name:
            asked = _describe(int(action.get("actionType") or 0), name, None)
            raise NonDeterminism(
                f"the history has {_describe(leaf.action_type, leaf.name, leaf.task_id)}, but "
                f"now the code asks for {asked} instead",
                position,
            )


def _redo(changes: Changes, known: Sequence[Action]) -> None:
    """Start again, under their old numbers, what a rewind has erased."""
    rewound = {i: task for i, task in changes.material.open_tasks.items() if task.kind == REWOUND}
    if not rewound:
        return
    actions = {
        leaf.task_id: action for leaf, action in zip(changes.material.leaves, known, strict=False)
    }
    for task_id, task in rewound.items():
        if changes.find_open(task_id) is None:
            continue
        if task.retry is not None:  # it was open when the instance ended
            retries.go_on_as(changes, task_id, json.loads(task.retry))
        elif task_id in actions:
            _start_again(changes, task_id, actions[task_id])


def _start_again(changes: Changes, task_id: int, action: Action) -> None:
    action_type = action["actionType"]
    if action_type == ActionType.CREATE_TIMER:
        changes.set_timer_as(task_id, _fire_at(action["fireAt"]))
    elif action_type == ActionType.CALL_HTTP:
        changes.schedule_http_as(task_id, action["httpRequest"])
    elif action_type == ActionType.CALL_ENTITY:
        changes.close(task_id)  # a call of an entity is not open, it is answered by an event
        changes.send_to_entity_as(
            task_id, action["instanceId"], action["operation"], action["input"], is_signal=False
        )
    elif action_type == ActionType.CALL_ACTIVITY:
        changes.schedule_activity_as(task_id, action["functionName"], action["input"])
    elif action_type == ActionType.CALL_ACTIVITY_WITH_RETRY:
        retries.go_on_as(
            changes, task_id, retry_records.new_record(action, "activity", changes.material.moment)
        )
    elif action_type == ActionType.CALL_SUB_ORCHESTRATOR_WITH_RETRY:
        retries.go_on_as(
            changes,
            task_id,
            retry_records.new_record(action, "orchestration", changes.material.moment),
        )
    elif action_type == ActionType.CALL_SUB_ORCHESTRATOR:
        start_child_as(
            changes,
            task_id,
            name=action["functionName"],
            input_text=action["input"],
            instance_id=action.get("instanceId"),
            version=action.get("version"),
        )


def _describe(action_type: int, name: str | None, task_id: int | None) -> str:
    try:
        kind = ActionType(action_type).name
    except ValueError:
        kind = f"action type {action_type}"
    named = "" if name is None else f" '{name}'"
    numbered = "" if task_id is None else f" with sequence number {task_id}"
    return f"{kind}{named}{numbered}"


def _cancel_timer(changes: Changes, task_id: int) -> None:
    task = changes.find_open(task_id)
    if task is not None and task.kind == "timer":
        changes.close(task_id)
        changes.cancelled.add(task_id)


def _call_activity(changes: Changes, action: Action) -> int:
    return changes.schedule_activity(action["functionName"], action["input"])


def _call_activity_with_retry(changes: Changes, action: Action) -> int:
    record = retry_records.new_record(action, "activity", changes.material.moment)
    return changes.schedule_activity(action["functionName"], action["input"], record)


def _call_http(changes: Changes, action: Action) -> int:
    request: Any = action["httpRequest"]
    if not shapes.is_object(request):
        raise ProtocolError("httpRequest of an HTTP call is not an object")
    task_id = changes.take_task_id()
    changes.schedule_http_as(task_id, request)
    return task_id


def _call_sub_orchestrator(changes: Changes, action: Action) -> int:
    return start_child(
        changes,
        name=action["functionName"],
        input_text=action["input"],
        instance_id=action.get("instanceId"),
        version=action.get("version"),
    )


def _call_sub_orchestrator_with_retry(changes: Changes, action: Action) -> int:
    return start_child(
        changes,
        name=action["functionName"],
        input_text=action["input"],
        instance_id=action.get("instanceId"),
        version=action.get("version"),
        retry=retry_records.new_record(action, "orchestration", changes.material.moment),
    )


def _create_timer(changes: Changes, action: Action) -> int:
    return changes.set_timer(_fire_at(action["fireAt"]))


def _fire_at(text: str) -> datetime:
    year, dash, rest = text.partition("-")
    try:  # years below 1000 come unpadded from Python on Linux (protocol.md 4)
        return timestamps.to_utc(timestamps.parse_moment(f"{year:0>4}{dash}{rest}"))
    except ValueError:
        raise ProtocolError(f"fireAt of a timer is not a time stamp: {text!r}") from None


def _wait_for_event(changes: Changes, action: Action) -> None:
    """Nothing to do: events are matched with waits by the SDK."""


def _call_entity(changes: Changes, action: Action) -> int:
    return changes.send_to_entity(
        action["instanceId"], action["operation"], action["input"], is_signal=False
    )


def _signal_entity(changes: Changes, action: Action) -> int:
    return changes.send_to_entity(
        action["instanceId"], action["operation"], action["input"], is_signal=True
    )


def _continue_as_new(changes: Changes, action: Action) -> None:
    """Takes effect when nothing is open any more; see `orchestrations`."""


DECIDE: Mapping[int, Decide] = {
    ActionType.CALL_ACTIVITY: _call_activity,
    ActionType.CALL_ACTIVITY_WITH_RETRY: _call_activity_with_retry,
    ActionType.CALL_SUB_ORCHESTRATOR: _call_sub_orchestrator,
    ActionType.CALL_SUB_ORCHESTRATOR_WITH_RETRY: _call_sub_orchestrator_with_retry,
    ActionType.CALL_ENTITY: _call_entity,
    ActionType.CALL_HTTP: _call_http,
    ActionType.SIGNAL_ENTITY: _signal_entity,
    ActionType.CONTINUE_AS_NEW: _continue_as_new,
    ActionType.CREATE_TIMER: _create_timer,
    ActionType.WAIT_FOR_EXTERNAL_EVENT: _wait_for_event,
}
