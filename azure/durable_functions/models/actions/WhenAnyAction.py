from azure.durable_functions._replay.actions import CompoundAction as CompoundAction
from azure.durable_functions._replay.actions import WhenAnyAction as WhenAnyAction
from azure.durable_functions._wire.vocabulary import ActionType as ActionType
