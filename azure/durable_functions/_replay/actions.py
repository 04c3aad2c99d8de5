"""What an orchestrator asks of the host, one class per action. Source: protocol.md 4, sdk.md 2.12.

Inputs are encoded when the action is made, so that a value that cannot travel fails at the user's
line. Keys of the JSON objects stand in the order of the specification.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import date
from typing import Any

from azure.durable_functions._wire import durable_http, retry_options, timestamps
from azure.durable_functions._wire import entity_id as entity_ids
from azure.durable_functions._wire.df_serialization import df_dumps
from azure.durable_functions._wire.payloads import LONG, encode, quote, quote_short
from azure.durable_functions._wire.vocabulary import ActionType

Json = dict[str, Any]


class Action(ABC):
    """One thing asked of the host."""

    @property
    @abstractmethod
    def action_type(self) -> int:
        """Number of the action on the wire."""

    @abstractmethod
    def to_json(self) -> Json:
        """The wire's object."""

    def to_text(self) -> str:
        """The wire's text of the object."""
        return df_dumps(self.to_json())


class NoOpAction(Action):
    """Stands where a task has no action of its own; never sent."""

    def __init__(self, metadata: str | None = None) -> None:
        self.metadata = metadata

    def action_type(self) -> int:  # type: ignore[override]  # a method here, officially too
        """Raises: an anonymous action has no number."""
        raise Exception("Attempted to get action type of an anonymous Action")

    def to_json(self) -> Json:
        """Raises: an anonymous action is never sent."""
        raise Exception("Attempted to convert an anonymous Action to JSON")


def _check_retry_options(given: object) -> None:
    if not hasattr(given, "to_json"):
        raise TypeError(
            f"retry_options must be RetryOptions or a RetryPolicy, got {given!r}; for instance "
            "df.RetryPolicy(timedelta(seconds=5), max_number_of_attempts=3)"
        )


def _required_name(function_name: str) -> str:
    if not function_name:
        raise ValueError("function_name cannot be empty")
    return function_name


class CallActivityAction(Action):
    """Run an activity."""

    def __init__(self, function_name: str, input_: Any = None) -> None:
        if not function_name:
            raise ValueError("function_name cannot be empty")
        self.function_name: str = function_name
        self.input_: str = encode(input_)

    @property
    def action_type(self) -> int:
        """0."""
        return ActionType.CALL_ACTIVITY

    def to_json(self) -> Json:
        """The wire's object."""
        return {"actionType": 0, "functionName": self.function_name, "input": self.input_}

    def to_text(self) -> str:
        """The wire's text, put together: half the time of an object and its encoding."""
        if type(self) is CallActivityAction:  # else its `to_json` may tell something else
            try:
                name, input_ = quote_short(self.function_name), self.input_
                input_ = quote_short(input_) if len(input_) < LONG else quote(input_)
                return f'{{"actionType": 0, "functionName": {name}, "input": {input_}}}'
            except TypeError:
                pass  # the name is no text
        return super().to_text()


class CallActivityWithRetryAction(Action):
    """Run an activity; the host tries again when it fails."""

    def __init__(
        self, function_name: str, retry_options: retry_options.RetryOptions, input_: Any = None
    ) -> None:
        self.function_name: str = _required_name(function_name)
        if not retry_options:
            raise ValueError("retry_options cannot be empty")
        _check_retry_options(retry_options)
        self.retry_options = retry_options
        self.input_: str = encode(input_)

    @property
    def action_type(self) -> int:
        """1."""
        return ActionType.CALL_ACTIVITY_WITH_RETRY

    def to_json(self) -> Json:
        """The wire's object."""
        return {
            "actionType": 1,
            "functionName": self.function_name,
            "input": self.input_,
            "retryOptions": self.retry_options.to_json(),
        }


class CallSubOrchestratorAction(Action):
    """Run an orchestration as a child of this one."""

    def __init__(
        self,
        function_name: str,
        _input: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
    ) -> None:
        self.function_name: str = _required_name(function_name)
        self._input: str = encode(_input)
        self.instance_id = instance_id
        self.version = version

    @property
    def action_type(self) -> int:
        """2."""
        return ActionType.CALL_SUB_ORCHESTRATOR

    def to_json(self) -> Json:
        """The wire's object."""
        return {
            "actionType": 2,
            "functionName": self.function_name,
            "input": self._input,
            "instanceId": self.instance_id,
            "version": self.version,
        }


class CallSubOrchestratorWithRetryAction(Action):
    """Run a child orchestration; the host tries again when it fails."""

    def __init__(
        self,
        function_name: str,
        retry_options: retry_options.RetryOptions,
        _input: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
    ) -> None:
        self.function_name: str = _required_name(function_name)
        self._input: str = encode(_input)
        _check_retry_options(retry_options)
        self.retry_options = retry_options
        self.instance_id = instance_id
        self.version = version

    @property
    def action_type(self) -> int:
        """3."""
        return ActionType.CALL_SUB_ORCHESTRATOR_WITH_RETRY

    def to_json(self) -> Json:
        """The wire's object."""
        return {
            "actionType": 3,
            "functionName": self.function_name,
            "input": self._input,
            "retryOptions": self.retry_options.to_json(),
            "instanceId": self.instance_id,
            "version": self.version,
        }


class ContinueAsNewAction(Action):
    """End this generation and begin the next one with a new input."""

    def __init__(self, input_: Any = None) -> None:
        self.input_: str = encode(input_)

    @property
    def action_type(self) -> int:
        """4."""
        return ActionType.CONTINUE_AS_NEW

    def to_json(self) -> Json:
        """The wire's object."""
        return {"actionType": 4, "input": self.input_}


class CreateTimerAction(Action):
    """Wake the orchestration at a moment."""

    def __init__(self, fire_at: date, is_cancelled: bool = False) -> None:
        if not isinstance(fire_at, date):  # pyright: ignore[reportUnnecessaryIsInstance]  # users
            span = fire_at if isinstance(fire_at, (int, float)) else 5
            raise ValueError(
                f"fireAt: Expected valid datetime object but got {fire_at!r}; create_timer takes a "
                f"datetime, or a timedelta from now such as timedelta(seconds={span})"
            )
        self.fire_at = fire_at
        self.is_cancelled = is_cancelled

    @property
    def action_type(self) -> int:
        """5."""
        return ActionType.CREATE_TIMER

    def to_json(self) -> Json:
        """The wire's object; ``fireAt`` carries the clock fields of the moment as they are."""
        return {
            "actionType": 5,
            "fireAt": timestamps.format_moment(self.fire_at),
            "isCanceled": self.is_cancelled,
        }


class WaitForExternalEventAction(Action):
    """Wait for an event that somebody raises."""

    def __init__(self, external_event_name: str) -> None:
        if not external_event_name:
            raise ValueError("external_event_name cannot be empty")
        self.external_event_name: str = external_event_name
        self.reason = "ExternalEvent"

    @property
    def action_type(self) -> int:
        """6."""
        return ActionType.WAIT_FOR_EXTERNAL_EVENT

    def to_json(self) -> Json:
        """The wire's object."""
        return {
            "actionType": 6,
            "externalEventName": self.external_event_name,
            "reason": self.reason,
        }

    def to_text(self) -> str:
        """The wire's text, put together."""
        if type(self) is WaitForExternalEventAction:
            try:
                name, reason = quote(self.external_event_name), quote(self.reason)
                return f'{{"actionType": 6, "externalEventName": {name}, "reason": {reason}}}'
            except TypeError:
                pass  # a name that is no text: the long way says so
        return super().to_text()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, WaitForExternalEventAction):
            return False
        return self.external_event_name == other.external_event_name

    __hash__ = None  # type: ignore[assignment]  # equality without hash, officially too


class _EntityAction(Action):
    """An operation for an entity."""

    def __init__(self, entity_id: entity_ids.EntityId, operation: str, input_: Any = None) -> None:
        if not entity_id:
            raise ValueError("entity_id cannot be empty")
        self.entity_id = entity_id
        self.instance_id: str = entity_ids.EntityId.get_scheduler_id(entity_id)
        self.operation = operation
        self.input_: str = encode(input_)

    def to_json(self) -> Json:
        """The wire's object."""
        return {
            "actionType": int(self.action_type),
            "instanceId": self.instance_id,
            "operation": self.operation,
            "input": self.input_,
        }


class CallEntityAction(_EntityAction):
    """Call an operation of an entity and wait for its answer."""

    @property
    def action_type(self) -> int:
        """7."""
        return ActionType.CALL_ENTITY


class CallHttpAction(Action):
    """Let the host make an HTTP request."""

    def __init__(self, http_request: durable_http.DurableHttpRequest) -> None:
        self.http_request = http_request

    @property
    def action_type(self) -> int:
        """8."""
        return ActionType.CALL_HTTP

    def to_json(self) -> Json:
        """The wire's object."""
        return {"actionType": 8, "httpRequest": self.http_request.to_json()}


class SignalEntityAction(_EntityAction):
    """Call an operation of an entity; nobody waits for its answer."""

    @property
    def action_type(self) -> int:
        """9."""
        return ActionType.SIGNAL_ENTITY


class CompoundAction(Action):
    """Several actions that the host starts together."""

    def __init__(self, compound_tasks: Sequence[Action]) -> None:
        self.compound_tasks = compound_tasks

    @property
    @abstractmethod
    def action_type(self) -> int:
        """Number of the action on the wire."""

    def to_json(self) -> Json:
        """The wire's object."""
        return {
            "actionType": int(self.action_type),
            "compoundActions": [action.to_json() for action in self.compound_tasks],
        }

    def to_text(self) -> str:
        """The wire's text, joined from those of the parts."""
        if type(self) is not WhenAllAction and type(self) is not WhenAnyAction:
            return super().to_text()
        parts = ", ".join([action.to_text() for action in self.compound_tasks])
        return f'{{"actionType": {int(self.action_type)}, "compoundActions": [{parts}]}}'


class WhenAnyAction(CompoundAction):
    """Go on when one of them has finished."""

    @property
    def action_type(self) -> int:
        """11."""
        return ActionType.WHEN_ANY


class WhenAllAction(CompoundAction):
    """Go on when all of them have finished."""

    @property
    def action_type(self) -> int:
        """12."""
        return ActionType.WHEN_ALL
