from azure.durable_functions._wire.entity_id import EntityId as EntityId
