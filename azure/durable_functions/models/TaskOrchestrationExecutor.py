import json as json
import warnings as warnings
from azure.durable_functions._replay.context import (
    DurableOrchestrationContext as DurableOrchestrationContext,
)
from azure.durable_functions._replay.executor import (
    TaskOrchestrationExecutor as TaskOrchestrationExecutor,
)
from azure.durable_functions._replay.history import HistoryEvent as HistoryEvent
from azure.durable_functions._replay.state import OrchestratorState as OrchestratorState
from azure.durable_functions._replay.tasks import AtomicTask as AtomicTask
from azure.durable_functions._replay.tasks import CompoundTask as CompoundTask
from azure.durable_functions._replay.tasks import TaskBase as TaskBase
from azure.durable_functions._replay.tasks import TaskState as TaskState
from azure.durable_functions._wire.df_serialization import df_loads as df_loads
from azure.durable_functions._wire.entity_messages import ResponseMessage as ResponseMessage
from azure.durable_functions._wire.vocabulary import HistoryEventType as HistoryEventType
from collections import namedtuple as namedtuple
from types import GeneratorType as GeneratorType
