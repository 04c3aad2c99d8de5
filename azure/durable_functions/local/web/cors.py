"""Which web pages of other origins may use the public port. Source: http-api.md 1.4."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from azure.durable_functions._errors import SettingsError

ANY = "*"


@dataclass(frozen=True)
class Cors:
    """Permitted origins; if there are none, browsers block other origins."""

    origins: frozenset[str] = frozenset()
    """As browsers write them, or ``*``."""
    with_credentials: bool = False

    @staticmethod
    def of_text(text: str | None, *, with_credentials: bool) -> Cors:
        """Returns the rules of a comma-separated list.

        Raises:
            SettingsError: ``*`` with credentials, which browsers refuse.
        """
        parts = (part.strip().rstrip("/").lower() for part in (text or "").split(","))
        origins = frozenset(part for part in parts if part)
        if ANY in origins and with_credentials:
            raise SettingsError(
                "CORS cannot allow every origin (*) together with credentials; name the origins"
            )
        return Cors(origins, with_credentials)

    def permits(self, origin: str | None) -> bool:
        """Returns whether pages of the origin may send requests and read responses."""
        return origin is not None and (ANY in self.origins or origin.lower() in self.origins)

    @property
    def permits_all(self) -> bool:
        """Whether pages of every origin may do so."""
        return ANY in self.origins

    def preflight(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Returns the headers of the response to a permitted preflight request."""
        allowed = self.headers(headers["origin"])
        allowed["Access-Control-Allow-Methods"] = headers["access-control-request-method"]
        asked = headers.get("access-control-request-headers")
        if asked:
            allowed["Access-Control-Allow-Headers"] = asked
        return allowed

    def headers(self, origin: str) -> dict[str, str]:
        """Returns the headers that let a permitted page read a response."""
        found = {"Access-Control-Allow-Origin": ANY if ANY in self.origins else origin}
        if self.with_credentials:
            found["Access-Control-Allow-Credentials"] = "true"
        if ANY not in self.origins:
            found["Vary"] = "Origin"
        return found
