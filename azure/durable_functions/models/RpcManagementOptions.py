from azure.durable_functions._client.queries import RpcManagementOptions as RpcManagementOptions
from azure.durable_functions._wire.entity_id import EntityId as EntityId
from azure.durable_functions._wire.vocabulary import (
    OrchestrationRuntimeStatus as OrchestrationRuntimeStatus,
)
from azure.durable_functions.constants import DATETIME_STRING_FORMAT as DATETIME_STRING_FORMAT
from datetime import datetime as datetime
