import json as json
from azure.durable_functions._wire.entity_messages import ResponseMessage as ResponseMessage
