"""A durable HTTP call as it travels in an action. Source: protocol.md 12.1, sdk.md 2.6."""

from __future__ import annotations

from abc import ABC
from typing import Any

from .json_utils import add_attrib, add_json_attrib


class TokenSource(ABC):  # noqa: B024  # abstract by name only, officially too
    """Where the host gets the bearer token of a durable HTTP call."""

    def __init__(self) -> None:
        super().__init__()


class ManagedIdentityTokenSource(TokenSource):
    """A token of the app's managed identity for one resource."""

    def __init__(self, resource: str) -> None:
        super().__init__()
        self._resource: str = resource
        self._kind: str = "AzureManagedIdentity"

    @property
    def resource(self) -> str:
        """For instance ``https://management.core.windows.net/``."""
        return self._resource

    def to_json(self) -> dict[str, Any]:
        """The wire's object."""
        json_dict: dict[str, Any] = {}
        add_attrib(json_dict, self, "_resource", "resource")
        json_dict["kind"] = self._kind
        return json_dict


class DurableHttpRequest:
    """What a durable HTTP call sends."""

    def __init__(
        self,
        method: str,
        uri: str,
        content: str | None = None,
        headers: dict[str, str] | None = None,
        token_source: TokenSource | None = None,
    ) -> None:
        self._method: str = method
        self._uri: str = uri
        self._content: str | None = content
        self._headers: dict[str, str] | None = headers
        self._token_source: TokenSource | None = token_source

    @property
    def method(self) -> str:
        """Any HTTP method."""
        return self._method

    @property
    def uri(self) -> str:
        """Absolute."""
        return self._uri

    @property
    def content(self) -> str | None:
        """Text of the body."""
        return self._content

    @property
    def headers(self) -> dict[str, str] | None:
        """Headers to send."""
        return self._headers

    @property
    def token_source(self) -> TokenSource | None:
        """Where the bearer token comes from."""
        return self._token_source

    def to_json(self) -> dict[str, Any]:
        """The wire's object; all keys but ``tokenSource`` are always there."""
        json_dict: dict[str, Any] = {}
        add_attrib(json_dict, self, "method")
        add_attrib(json_dict, self, "uri")
        add_attrib(json_dict, self, "content")
        add_attrib(json_dict, self, "headers")
        add_json_attrib(json_dict, self, "token_source", "tokenSource")
        return json_dict
