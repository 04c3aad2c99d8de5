from abc import ABC as ABC
from abc import abstractmethod as abstractmethod
from azure.durable_functions._replay.actions import Action as Action
