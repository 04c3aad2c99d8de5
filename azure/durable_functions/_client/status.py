"""What the client's calls answer. Source: sdk.md 2.8, 2.9."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from azure.durable_functions._wire import timestamps
from azure.durable_functions._wire.json_utils import add_attrib, add_datetime_attrib
from azure.durable_functions._wire.vocabulary import OrchestrationRuntimeStatus


class DurableOrchestrationStatus:
    """Status of one instance; falsy when there is no such instance."""

    def __init__(
        self,
        name: str | None = None,
        instanceId: str | None = None,
        createdTime: str | None = None,
        lastUpdatedTime: str | None = None,
        input: Any = None,
        output: Any = None,
        runtimeStatus: str | None = None,
        customStatus: Any = None,
        history: list[Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Parameters are the keys of the host's JSON object; unknown ones become attributes."""
        self._name = name
        self._instance_id = instanceId
        self._created_time = _moment(createdTime)
        self._last_updated_time = _moment(lastUpdatedTime)
        self._input = input
        self._output = output
        self._runtime_status = _status(runtimeStatus)
        self._custom_status = customStatus
        # The host's key is historyEvents; the official property stays None (sdk.md Q70).
        self._history: list[Any] | None = (
            kwargs.get("historyEvents") if history is None else history
        )
        if kwargs:
            _keep_unknown(self, kwargs)

    def __bool__(self) -> bool:
        return self._created_time is not None

    @classmethod
    def from_json(cls, json_obj: Any) -> DurableOrchestrationStatus:
        """Read the host's object; a text becomes the attribute ``message``."""
        if isinstance(json_obj, str):
            return cls(message=json_obj)
        return cls(**json_obj)

    def to_json(self) -> dict[str, Any]:
        """The object with the host's keys.

        Raises:
            AttributeError: The instance does not exist, so it has no times.
        """
        fields: dict[str, Any] = {}
        add_attrib(fields, self, "name")
        add_attrib(fields, self, "instance_id", "instanceId")
        add_datetime_attrib(fields, self, "created_time", "createdTime")
        add_datetime_attrib(fields, self, "last_updated_time", "lastUpdatedTime")
        add_attrib(fields, self, "output")
        add_attrib(fields, self, "input_", "input")
        status = self._runtime_status
        if status is not None:
            fields["runtimeStatus"] = (
                status.name if isinstance(status, OrchestrationRuntimeStatus) else status
            )
        add_attrib(fields, self, "custom_status", "customStatus")
        add_attrib(fields, self, "history")
        return fields

    @property
    def name(self) -> str | None:
        """Name of the orchestrator function."""
        return self._name

    @property
    def instance_id(self) -> str | None:
        """Id of the instance."""
        return self._instance_id

    @property
    def created_time(self) -> datetime | None:
        """When the instance was started; aware UTC, whole seconds."""
        return self._created_time

    @property
    def last_updated_time(self) -> datetime | None:
        """When the instance last changed; aware UTC, whole seconds."""
        return self._last_updated_time

    @property
    def input_(self) -> Any:
        """The instance's input as the host shows it."""
        return self._input

    @property
    def output(self) -> Any:
        """The output, or the text of the failure."""
        return self._output

    @property
    def runtime_status(self) -> OrchestrationRuntimeStatus | None:
        """Where the instance stands; a text this release does not know stays text (Q72)."""
        return self._runtime_status  # type: ignore[return-value]  # only newer hosts send such text

    @property
    def custom_status(self) -> Any:
        """Last value the orchestrator gave to `set_custom_status`."""
        return self._custom_status

    @property
    def history(self) -> list[Any] | None:
        """Events as the host shows them, if they were asked for."""
        return self._history


def _moment(text: str | None) -> datetime | None:
    return None if text is None else timestamps.parse_moment(text)


_STATUSES: dict[str, OrchestrationRuntimeStatus] = {
    status.value: status for status in OrchestrationRuntimeStatus
}


def _status(text: str | None) -> OrchestrationRuntimeStatus | str | None:
    return _STATUSES.get(text, text) if isinstance(text, str) else text


def _keep_unknown(answer: object, fields: dict[str, Any]) -> None:
    """Fields that this release does not know become attributes, unless a property is in the way."""
    for key, value in fields.items():
        if not isinstance(getattr(type(answer), key, None), property):  # sdk.md Q71
            setattr(answer, key, value)


class PurgeHistoryResult:
    """How many instances a purge has removed."""

    def __init__(self, instancesDeleted: int, **kwargs: Any) -> None:
        self._instances_deleted = instancesDeleted
        _keep_unknown(self, kwargs)

    @classmethod
    def from_json(cls, json_obj: dict[str, Any]) -> PurgeHistoryResult:
        """Read the host's object."""
        return cls(**json_obj)

    @property
    def instances_deleted(self) -> int:
        """Number of instances removed."""
        return self._instances_deleted


class EntityStateResponse:
    """State of an entity, if it exists."""

    def __init__(self, entity_exists: bool, entity_state: Any = None) -> None:
        self._entity_exists = entity_exists
        self._entity_state = entity_state

    @property
    def entity_exists(self) -> bool:
        """Whether the entity exists."""
        return self._entity_exists

    @property
    def entity_state(self) -> Any:
        """Its state as plain JSON values; None if it does not exist."""
        return self._entity_state
