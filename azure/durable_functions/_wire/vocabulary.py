"""The closed sets of the protocol: event types, action types, statuses, schemas.

Numbers and names are the host's. Source: protocol.md 2.2, 4 and 7; sdk.md 2.7.
"""

from __future__ import annotations

from enum import Enum, IntEnum


class HistoryEventType(IntEnum):
    """What a history event records."""

    EXECUTION_STARTED = 0
    EXECUTION_COMPLETED = 1
    EXECUTION_FAILED = 2
    EXECUTION_TERMINATED = 3
    TASK_SCHEDULED = 4
    TASK_COMPLETED = 5
    TASK_FAILED = 6
    SUB_ORCHESTRATION_INSTANCE_CREATED = 7
    SUB_ORCHESTRATION_INSTANCE_COMPLETED = 8
    SUB_ORCHESTRATION_INSTANCE_FAILED = 9
    TIMER_CREATED = 10
    TIMER_FIRED = 11
    ORCHESTRATOR_STARTED = 12
    ORCHESTRATOR_COMPLETED = 13
    EVENT_SENT = 14
    EVENT_RAISED = 15
    CONTINUE_AS_NEW = 16
    GENERIC_EVENT = 17
    HISTORY_STATE = 18
    EXECUTION_SUSPENDED = 19
    EXECUTION_RESUMED = 20


class ActionType(IntEnum):
    """What an orchestrator asks of the host. 10, 13 and 14 exist, but Python never sends them."""

    CALL_ACTIVITY = 0
    CALL_ACTIVITY_WITH_RETRY = 1
    CALL_SUB_ORCHESTRATOR = 2
    CALL_SUB_ORCHESTRATOR_WITH_RETRY = 3
    CONTINUE_AS_NEW = 4
    CREATE_TIMER = 5
    WAIT_FOR_EXTERNAL_EVENT = 6
    CALL_ENTITY = 7
    CALL_HTTP = 8
    SIGNAL_ENTITY = 9
    WHEN_ANY = 11
    WHEN_ALL = 12


class ReplaySchema(Enum):
    """In which shape the SDK lists its actions. Source: protocol.md 7."""

    V1 = 0
    V2 = 1
    V3 = 2


class OrchestrationRuntimeStatus(Enum):
    """Status of an instance, as text."""

    Running = "Running"
    Completed = "Completed"
    ContinuedAsNew = "ContinuedAsNew"
    Failed = "Failed"
    Canceled = "Canceled"
    Terminated = "Terminated"
    Pending = "Pending"
    Suspended = "Suspended"


TERMINAL_STATUSES = (
    OrchestrationRuntimeStatus.Completed,
    OrchestrationRuntimeStatus.Failed,
    OrchestrationRuntimeStatus.Canceled,
    OrchestrationRuntimeStatus.Terminated,
)
"""Statuses that an instance does not leave by itself."""


FAILURE_LABEL = "\n\n$OutOfProcData$:"
"""Stands between the friendly text of a failure and the state JSON. Source: protocol.md 6.1."""

ENTITY_TIMEOUT_PREFIX = "Timeout value of"
"""How the text begins that a host answers for an entity that ran too long (protocol.md 5.4)."""
