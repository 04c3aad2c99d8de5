from azure.durable_functions._wire.vocabulary import ActionType as ActionType
from enum import IntEnum as IntEnum
