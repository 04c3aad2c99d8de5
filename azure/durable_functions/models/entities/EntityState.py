import json as json
from azure.durable_functions._entities.batch import EntityState as EntityState
from azure.durable_functions._entities.batch import OperationResult as OperationResult
from azure.durable_functions._entities.batch import Signal as Signal
from azure.durable_functions._wire.df_serialization import df_dumps as df_dumps
