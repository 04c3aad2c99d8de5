"""What the durable client binding hands to the client. Source: protocol.md 11, sdk.md 2.9, 5.1."""

from __future__ import annotations

import json
from typing import Any

from azure.durable_functions._wire.function_context import FunctionContext


class DurableOrchestrationBindings:
    """Addresses and names of the host that started this function."""

    def __init__(
        self,
        taskHubName: str,
        creationUrls: dict[str, str],
        managementUrls: dict[str, str],
        rpcBaseUrl: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Parameters are the keys of the binding's JSON object."""
        self._task_hub_name = taskHubName
        self._creation_urls = creationUrls
        self._management_urls = managementUrls
        self._rpc_base_url = rpcBaseUrl
        self._client_data = FunctionContext(**kwargs)

    @property
    def task_hub_name(self) -> str:
        """Name of the task hub."""
        return self._task_hub_name

    @property
    def creation_urls(self) -> dict[str, str]:
        """URL templates for starting instances."""
        return self._creation_urls

    @property
    def management_urls(self) -> dict[str, str]:
        """URL templates of an instance; ``id`` holds the placeholder for its id."""
        return self._management_urls

    @property
    def rpc_base_url(self) -> str | None:
        """Where the client sends its requests; ends in a slash."""
        return self._rpc_base_url

    @property
    def client_data(self) -> FunctionContext:
        """All further fields of the binding, as attributes."""
        return self._client_data

    @classmethod
    def from_json(cls, json_string: str) -> DurableOrchestrationBindings:
        """Read the binding's text.

        Raises:
            json.JSONDecodeError: Not JSON.
            TypeError: Not text, or a field is missing.
        """
        fields: dict[str, Any] = json.loads(json_string)
        return cls(**fields)
