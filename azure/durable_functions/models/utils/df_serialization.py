import json as json
import logging as logging
from azure.durable_functions._wire.df_serialization import _FALLBACK_MESSAGE as _FALLBACK_MESSAGE
from azure.durable_functions._wire.df_serialization import (
    _deserialize_custom_object as _deserialize_custom_object,
)
from azure.durable_functions._wire.df_serialization import (
    _get_serialize_default as _get_serialize_default,
)
from azure.durable_functions._wire.df_serialization import (
    _serialize_custom_object as _serialize_custom_object,
)
from azure.durable_functions._wire.df_serialization import df_dumps as df_dumps
from azure.durable_functions._wire.df_serialization import df_loads as df_loads
from azure.durable_functions._wire.df_serialization import logger as logger
