import azure.functions
import json as json
from asyncio import sleep as sleep
from azure.durable_functions._client.bindings import (
    DurableOrchestrationBindings as DurableOrchestrationBindings,
)
from azure.durable_functions._client.client import (
    DurableOrchestrationClient as DurableOrchestrationClient,
)
from azure.durable_functions._client.http import delete_async_request as delete_async_request
from azure.durable_functions._client.http import get_async_request as get_async_request
from azure.durable_functions._client.http import post_async_request as post_async_request
from azure.durable_functions._client.queries import RpcManagementOptions as RpcManagementOptions
from azure.durable_functions._client.status import (
    DurableOrchestrationStatus as DurableOrchestrationStatus,
)
from azure.durable_functions._client.status import EntityStateResponse as EntityStateResponse
from azure.durable_functions._client.status import PurgeHistoryResult as PurgeHistoryResult
from azure.durable_functions._wire.df_serialization import df_dumps as df_dumps
from azure.durable_functions._wire.entity_id import EntityId as EntityId
from azure.durable_functions._wire.vocabulary import (
    OrchestrationRuntimeStatus as OrchestrationRuntimeStatus,
)
from datetime import datetime as datetime
from time import time as time
from urllib.parse import quote as quote
from urllib.parse import urlparse as urlparse

func = azure.functions
