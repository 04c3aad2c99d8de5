from azure.durable_functions._entities.batch import OperationResult as OperationResult
from azure.durable_functions._wire.df_serialization import df_dumps as df_dumps
