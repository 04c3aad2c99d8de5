import functools as functools
import inspect as inspect
import logging as logging
import typing as typing
from azure.durable_functions._wire.type_discovery import _return_annotation as _return_annotation
from azure.durable_functions._wire.type_discovery import (
    _unwrap_function_builder as _unwrap_function_builder,
)
from azure.durable_functions._wire.type_discovery import (
    activity_output_type as activity_output_type,
)
from azure.durable_functions._wire.type_discovery import logger as logger
from azure.durable_functions._wire.type_discovery import (
    sub_orchestrator_output_type as sub_orchestrator_output_type,
)
