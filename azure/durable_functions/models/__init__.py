from . import DurableOrchestrationStatus as DurableOrchestrationStatus
from . import EntityStateResponse as EntityStateResponse
from . import FunctionContext as FunctionContext
from . import ReplaySchema as ReplaySchema
from . import RpcManagementOptions as RpcManagementOptions
from . import Task as Task
from . import TaskOrchestrationExecutor as TaskOrchestrationExecutor
from . import TokenSource as TokenSource
from . import actions as actions
from . import entities as entities
from . import history as history
from . import utils as utils
from azure.durable_functions._client.bindings import (
    DurableOrchestrationBindings as DurableOrchestrationBindings,
)
from azure.durable_functions._client.client import (
    DurableOrchestrationClient as DurableOrchestrationClient,
)
from azure.durable_functions._client.status import PurgeHistoryResult as PurgeHistoryResult
from azure.durable_functions._entities.context import DurableEntityContext as DurableEntityContext
from azure.durable_functions._replay.context import (
    DurableOrchestrationContext as DurableOrchestrationContext,
)
from azure.durable_functions._replay.state import OrchestratorState as OrchestratorState
from azure.durable_functions._replay.tasks import TaskBase as TaskBase
from azure.durable_functions._wire.durable_http import DurableHttpRequest as DurableHttpRequest
from azure.durable_functions._wire.durable_http import (
    ManagedIdentityTokenSource as ManagedIdentityTokenSource,
)
from azure.durable_functions._wire.retry_options import RetryOptions as RetryOptions
from azure.durable_functions._wire.vocabulary import (
    OrchestrationRuntimeStatus as OrchestrationRuntimeStatus,
)

__all__ = [
    "DurableOrchestrationBindings",
    "DurableOrchestrationClient",
    "DurableEntityContext",
    "DurableOrchestrationContext",
    "DurableHttpRequest",
    "ManagedIdentityTokenSource",
    "OrchestratorState",
    "OrchestrationRuntimeStatus",
    "PurgeHistoryResult",
    "RetryOptions",
    "TaskBase",
]
