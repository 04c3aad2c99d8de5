import inspect as inspect
import json as json
from azure.durable_functions._replay.actions import Action as Action
from azure.durable_functions._replay.actions import CallActivityAction as CallActivityAction
from azure.durable_functions._replay.actions import (
    CallActivityWithRetryAction as CallActivityWithRetryAction,
)
from azure.durable_functions._replay.actions import CallEntityAction as CallEntityAction
from azure.durable_functions._replay.actions import CallHttpAction as CallHttpAction
from azure.durable_functions._replay.actions import (
    CallSubOrchestratorAction as CallSubOrchestratorAction,
)
from azure.durable_functions._replay.actions import (
    CallSubOrchestratorWithRetryAction as CallSubOrchestratorWithRetryAction,
)
from azure.durable_functions._replay.actions import ContinueAsNewAction as ContinueAsNewAction
from azure.durable_functions._replay.actions import CreateTimerAction as CreateTimerAction
from azure.durable_functions._replay.actions import SignalEntityAction as SignalEntityAction
from azure.durable_functions._replay.actions import (
    WaitForExternalEventAction as WaitForExternalEventAction,
)
from azure.durable_functions._replay.context import (
    DurableOrchestrationContext as DurableOrchestrationContext,
)
from azure.durable_functions._replay.history import HistoryEvent as HistoryEvent
from azure.durable_functions._replay.tasks import AtomicTask as AtomicTask
from azure.durable_functions._replay.tasks import LongTimerTask as LongTimerTask
from azure.durable_functions._replay.tasks import RetryAbleTask as RetryAbleTask
from azure.durable_functions._replay.tasks import TaskBase as TaskBase
from azure.durable_functions._replay.tasks import TimerTask as TimerTask
from azure.durable_functions._replay.tasks import WhenAllTask as WhenAllTask
from azure.durable_functions._replay.tasks import WhenAnyTask as WhenAnyTask
from azure.durable_functions._wire.df_serialization import df_loads as df_loads
from azure.durable_functions._wire.durable_http import DurableHttpRequest as DurableHttpRequest
from azure.durable_functions._wire.durable_http import TokenSource as TokenSource
from azure.durable_functions._wire.entity_id import EntityId as EntityId
from azure.durable_functions._wire.function_context import FunctionContext as FunctionContext
from azure.durable_functions._wire.json_utils import parse_timespan_attrib as parse_timespan_attrib
from azure.durable_functions._wire.retry_options import RetryOptions as RetryOptions
from azure.durable_functions._wire.type_discovery import (
    activity_output_type as activity_output_type,
)
from azure.durable_functions._wire.type_discovery import (
    sub_orchestrator_output_type as sub_orchestrator_output_type,
)
from azure.durable_functions._wire.vocabulary import HistoryEventType as HistoryEventType
from azure.durable_functions._wire.vocabulary import ReplaySchema as ReplaySchema
from azure.durable_functions.constants import DATETIME_STRING_FORMAT as DATETIME_STRING_FORMAT
from azure.durable_functions.decorators.metadata import ActivityTrigger as ActivityTrigger
from azure.durable_functions.decorators.metadata import OrchestrationTrigger as OrchestrationTrigger
from azure.functions.decorators.function_app import FunctionBuilder as FunctionBuilder
from collections import defaultdict as defaultdict
from datetime import timezone as timezone
from uuid import NAMESPACE_OID as NAMESPACE_OID
from uuid import NAMESPACE_URL as NAMESPACE_URL
from uuid import UUID as UUID
from uuid import uuid5 as uuid5
