from azure.durable_functions._wire.json_utils import add_attrib as add_attrib
from azure.durable_functions._wire.retry_options import RetryOptions as RetryOptions
