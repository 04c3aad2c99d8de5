from azure.durable_functions._wire.durable_http import DurableHttpRequest as DurableHttpRequest
from azure.durable_functions._wire.durable_http import TokenSource as TokenSource
from azure.durable_functions._wire.json_utils import add_attrib as add_attrib
from azure.durable_functions._wire.json_utils import add_json_attrib as add_json_attrib
