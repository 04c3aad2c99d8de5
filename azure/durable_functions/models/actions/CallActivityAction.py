from azure.durable_functions._replay.actions import Action as Action
from azure.durable_functions._replay.actions import CallActivityAction as CallActivityAction
from azure.durable_functions._wire.df_serialization import df_dumps as df_dumps
from azure.durable_functions._wire.json_utils import add_attrib as add_attrib
from azure.durable_functions._wire.vocabulary import ActionType as ActionType
