from azure.durable_functions._replay.history import HistoryEvent as HistoryEvent
from azure.durable_functions._wire.vocabulary import HistoryEventType as HistoryEventType

__all__ = [
    "HistoryEvent",
    "HistoryEventType",
]
