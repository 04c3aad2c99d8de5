from azure.durable_functions._wire.vocabulary import HistoryEventType as HistoryEventType
from enum import IntEnum as IntEnum
