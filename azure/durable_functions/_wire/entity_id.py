"""How an entity is addressed. Source: protocol.md 5.1, sdk.md 2.5."""

from __future__ import annotations


class EntityId:
    """Name and key of an entity; its instance id is ``@<name in lower case>@<key>``."""

    def __init__(self, name: str, key: str) -> None:
        """Raises ValueError when name or key is empty."""
        if name == "":
            raise ValueError("Entity name cannot be empty")
        if key == "":
            raise ValueError("Entity key cannot be empty")
        self.name: str = name
        self.key: str = key

    @staticmethod
    def get_scheduler_id(entity_id: EntityId) -> str:
        """Instance id of the entity."""
        return f"@{entity_id.name.lower()}@{entity_id.key}"

    @staticmethod
    def get_entity_id(scheduler_id: str) -> EntityId:
        """The reverse of `get_scheduler_id`; the key may contain ``@`` (sdk.md Q99).

        Raises:
            ValueError: The text is not of the form ``@name@key``.
        """
        name, separator, key = scheduler_id[1:].partition("@")
        if not separator:
            raise ValueError(f"Unexpected format in SchedulerId: {scheduler_id!r}, not @name@key")
        return EntityId(name=name, key=key)

    @staticmethod
    def get_entity_id_url_path(entity_id: EntityId) -> str:
        """Path of the entity below the management API's base, not escaped."""
        return f"entities/{entity_id.name}/{entity_id.key}"

    def __str__(self) -> str:
        return EntityId.get_scheduler_id(entity_id=self)

    def __repr__(self) -> str:
        return f"EntityId(name={self.name!r}, key={self.key!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EntityId) and self.name == other.name and self.key == other.key

    def __hash__(self) -> int:
        return hash((self.name, self.key))
