import datetime as datetime
from azure.durable_functions._replay.actions import Action as Action
from azure.durable_functions._replay.actions import CreateTimerAction as CreateTimerAction
from azure.durable_functions._wire.json_utils import add_attrib as add_attrib
from azure.durable_functions._wire.json_utils import add_datetime_attrib as add_datetime_attrib
from azure.durable_functions._wire.vocabulary import ActionType as ActionType
