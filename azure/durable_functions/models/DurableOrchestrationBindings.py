import json as json
from azure.durable_functions._client.bindings import (
    DurableOrchestrationBindings as DurableOrchestrationBindings,
)
from azure.durable_functions._wire.function_context import FunctionContext as FunctionContext
