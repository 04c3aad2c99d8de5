from azure.durable_functions._replay.actions import Action as Action
from azure.durable_functions._replay.actions import (
    CallSubOrchestratorWithRetryAction as CallSubOrchestratorWithRetryAction,
)
from azure.durable_functions._wire.df_serialization import df_dumps as df_dumps
from azure.durable_functions._wire.json_utils import add_attrib as add_attrib
from azure.durable_functions._wire.json_utils import add_json_attrib as add_json_attrib
from azure.durable_functions._wire.retry_options import RetryOptions as RetryOptions
from azure.durable_functions._wire.vocabulary import ActionType as ActionType
