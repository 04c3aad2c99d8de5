from azure.durable_functions._wire.vocabulary import (
    OrchestrationRuntimeStatus as OrchestrationRuntimeStatus,
)
from enum import Enum as Enum
