import json as json
from azure.durable_functions._wire.entity_id import EntityId as EntityId
from azure.durable_functions._wire.entity_messages import RequestMessage as RequestMessage
