"""History events as objects, for those who look at them.

Replay itself works on the dictionaries that JSON gave: of a long history hardly anything is ever
looked at, and parsing every time stamp took nine tenths of a replay (sdk.md Q22).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from azure.durable_functions._wire import timestamps
from azure.durable_functions._wire.vocabulary import HistoryEventType

_COMMON = frozenset(("EventType", "EventId", "IsPlayed", "Timestamp"))


class HistoryEvent:
    """One event; its fields beyond the common four are attributes, spelled as on the wire."""

    def __init__(
        self,
        EventType: HistoryEventType | int,
        EventId: int,
        IsPlayed: bool,
        Timestamp: str,
        **kwargs: Any,
    ) -> None:
        self._event_type = EventType
        self._event_id = EventId
        self._is_played = IsPlayed
        self._timestamp: str = Timestamp
        self._moment: datetime | None = None
        self._is_processed = False
        self.Name: str | None = None
        self.InstanceId: str | None = None
        self.TaskScheduledId: int | None = None
        self.Reason: str | None = None
        self.Details: str | None = None
        self.Input: str | None = None
        self.__dict__.update(kwargs)

    @property
    def event_type(self) -> HistoryEventType | int:
        """What happened; a bare number when this release does not know it."""
        try:
            return HistoryEventType(self._event_type)
        except ValueError:
            return self._event_type

    @property
    def event_id(self) -> int:
        """Task id of what was scheduled; -1 for everything else."""
        return self._event_id

    @property
    def is_played(self) -> bool:
        """Whether an earlier episode has seen the event."""
        return self._is_played

    @property
    def timestamp(self) -> datetime:
        """When it happened; parsed at the first look. Aware UTC if the text ends in ``Z``."""
        if self._moment is None:
            self._moment = timestamps.parse_moment(self._timestamp)
        return self._moment

    @property
    def is_processed(self) -> bool:
        """Free for callers; replay does not use it."""
        return self._is_processed

    @is_processed.setter
    def is_processed(self, value: bool) -> None:
        self._is_processed = value

    def to_wire(self) -> dict[str, Any]:
        """The event as the wire's dictionary, attribute changes included."""
        fields = {name: value for name, value in self.__dict__.items() if name[:1] != "_"}
        fields["EventType"] = self._event_type
        fields["EventId"] = self._event_id
        fields["IsPlayed"] = self._is_played
        fields["Timestamp"] = self._timestamp
        return fields


def wire_events(history: Iterable[Any]) -> list[dict[str, Any]]:
    """A history as dictionaries, whichever of the two forms each event has."""
    return [event if type(event) is dict else event.to_wire() for event in history]
