"""Entities as the store keeps them: instances with the state as input. Source: host.md 8.18."""

from __future__ import annotations

import json

from azure.durable_functions.local.store.instances import Instance


def instance_id_of(name: str, key: str) -> str:
    """``@name@key``; names are folded to lower case, keys stay (protocol.md 5.1)."""
    return f"@{name.lower()}@{key}"


def is_entity(instance_id: str) -> bool:
    """Whether an id is that of an entity."""
    return instance_id.startswith("@")


def state_of(entity: Instance | None) -> str | None:
    """JSON text of the state that was answered last; None if there is none.

    Reads go by it alone, whether the entity exists or not, as with the extension (X52).
    """
    if entity is None:
        return None
    state: str | None = json.loads(entity.input or "{}").get("state")
    return state


def has_state(entity: Instance) -> bool:
    """Whether a read of the entity gives anything."""
    return state_of(entity) is not None


def exists(entity: Instance | None) -> bool:
    """Whether the entity exists, as the last answer had it."""
    return entity is not None and bool(json.loads(entity.input or "{}").get("exists"))
