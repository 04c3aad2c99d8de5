from abc import ABC as ABC
from azure.durable_functions._wire.durable_http import (
    ManagedIdentityTokenSource as ManagedIdentityTokenSource,
)
from azure.durable_functions._wire.durable_http import TokenSource as TokenSource
from azure.durable_functions._wire.json_utils import add_attrib as add_attrib
