from . import ResponseMessage as ResponseMessage
from azure.durable_functions._entities.batch import EntityState as EntityState
from azure.durable_functions._entities.batch import OperationResult as OperationResult
from azure.durable_functions._entities.batch import Signal as Signal
from azure.durable_functions._wire.entity_messages import RequestMessage as RequestMessage

__all__ = [
    "RequestMessage",
    "OperationResult",
    "Signal",
    "EntityState",
]
