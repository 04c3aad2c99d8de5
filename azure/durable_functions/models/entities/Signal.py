from azure.durable_functions._entities.batch import Signal as Signal
from azure.durable_functions._wire.entity_id import EntityId as EntityId
