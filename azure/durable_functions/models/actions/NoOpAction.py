from azure.durable_functions._replay.actions import Action as Action
from azure.durable_functions._replay.actions import NoOpAction as NoOpAction
