"""What the verbs on instances refuse, and why."""

from __future__ import annotations

from azure.durable_functions._errors import DurableFunctionsError


class BadArgument(DurableFunctionsError):
    """What was asked cannot be done for anybody: answered with 400."""


class AlreadyExists(DurableFunctionsError):
    """An instance of the id is there and must not be replaced."""

    def __init__(self, status: str) -> None:
        super().__init__(f"An Orchestration instance with the status {status} already exists.")


class NoSuchInstance(DurableFunctionsError):
    """There is no instance of the id."""


class NotPossible(DurableFunctionsError):
    """The instance's status does not allow it; the text is the extension's."""


class WrongStatus(NotPossible):
    """The same of a purge or a rewind, which only take instances in certain statuses."""


class InstanceEnded(DurableFunctionsError):
    """The instance has ended and takes nothing any more."""
