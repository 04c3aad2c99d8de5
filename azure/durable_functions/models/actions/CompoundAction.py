from abc import abstractmethod as abstractmethod
from azure.durable_functions._replay.actions import Action as Action
from azure.durable_functions._replay.actions import CompoundAction as CompoundAction
from azure.durable_functions._wire.json_utils import add_attrib as add_attrib
