"""The bindings that the decorators add. Source: sdk.md 6.2.

azure-functions derives the keys of the function's JSON from the constructors' parameter names, so
these are an interface with the host.
"""

from __future__ import annotations

from azure.functions.decorators.core import InputBinding, Trigger

from azure.durable_functions.constants import (
    ACTIVITY_TRIGGER,
    DURABLE_CLIENT,
    ENTITY_TRIGGER,
    ORCHESTRATION_TRIGGER,
)


class OrchestrationTrigger(Trigger):
    """Makes a function an orchestrator."""

    @staticmethod
    def get_binding_name() -> str:
        """Type of the binding."""
        return ORCHESTRATION_TRIGGER

    def __init__(self, name: str, orchestration: str | None = None) -> None:
        self.orchestration = orchestration
        super().__init__(name=name)


class ActivityTrigger(Trigger):
    """Makes a function an activity."""

    @staticmethod
    def get_binding_name() -> str:
        """Type of the binding."""
        return ACTIVITY_TRIGGER

    def __init__(self, name: str, activity: str | None = None) -> None:
        self.activity = activity
        super().__init__(name=name)


class EntityTrigger(Trigger):
    """Makes a function an entity."""

    @staticmethod
    def get_binding_name() -> str:
        """Type of the binding."""
        return ENTITY_TRIGGER

    def __init__(self, name: str, entity_name: str | None = None) -> None:
        self.entity_name = entity_name
        super().__init__(name=name)


class DurableClient(InputBinding):
    """Gives a function a durable client."""

    @staticmethod
    def get_binding_name() -> str:
        """Type of the binding."""
        return DURABLE_CLIENT

    def __init__(
        self, name: str, task_hub: str | None = None, connection_name: str | None = None
    ) -> None:
        self.task_hub = task_hub
        self.connection_name = connection_name
        super().__init__(name=name)
