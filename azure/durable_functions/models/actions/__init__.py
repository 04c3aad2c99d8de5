from . import CallEntityAction as CallEntityAction
from . import CallSubOrchestratorWithRetryAction as CallSubOrchestratorWithRetryAction
from . import CompoundAction as CompoundAction
from . import ContinueAsNewAction as ContinueAsNewAction
from . import NoOpAction as NoOpAction
from . import SignalEntityAction as SignalEntityAction
from azure.durable_functions._replay.actions import Action as Action
from azure.durable_functions._replay.actions import CallActivityAction as CallActivityAction
from azure.durable_functions._replay.actions import (
    CallActivityWithRetryAction as CallActivityWithRetryAction,
)
from azure.durable_functions._replay.actions import CallHttpAction as CallHttpAction
from azure.durable_functions._replay.actions import (
    CallSubOrchestratorAction as CallSubOrchestratorAction,
)
from azure.durable_functions._replay.actions import CreateTimerAction as CreateTimerAction
from azure.durable_functions._replay.actions import (
    WaitForExternalEventAction as WaitForExternalEventAction,
)
from azure.durable_functions._replay.actions import WhenAllAction as WhenAllAction
from azure.durable_functions._replay.actions import WhenAnyAction as WhenAnyAction
from azure.durable_functions._wire.vocabulary import ActionType as ActionType

__all__ = [
    "Action",
    "ActionType",
    "CallActivityAction",
    "CallActivityWithRetryAction",
    "CallSubOrchestratorAction",
    "CallHttpAction",
    "WaitForExternalEventAction",
    "CreateTimerAction",
    "WhenAnyAction",
    "WhenAllAction",
]
