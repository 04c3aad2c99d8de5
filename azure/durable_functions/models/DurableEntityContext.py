import json as json
from azure.durable_functions._entities.context import DurableEntityContext as DurableEntityContext
from azure.durable_functions._entities.context import from_json_util as from_json_util
from azure.durable_functions._wire.df_serialization import df_loads as df_loads
