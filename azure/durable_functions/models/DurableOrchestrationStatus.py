from azure.durable_functions._client.status import (
    DurableOrchestrationStatus as DurableOrchestrationStatus,
)
from azure.durable_functions._wire.json_utils import add_attrib as add_attrib
from azure.durable_functions._wire.json_utils import add_datetime_attrib as add_datetime_attrib
from azure.durable_functions._wire.vocabulary import (
    OrchestrationRuntimeStatus as OrchestrationRuntimeStatus,
)
from datetime import datetime as datetime
from dateutil import parser as _parser

dt_parse = _parser.parse
