"""Who may send requests to the host. Source: http-api.md 1.3, 1.4.

On a developer's machine every program may, but no web page of another site: requests of such a page
carry its `Origin`, and requests that reach the host under a foreign name carry that in `Host`.
"""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from .cors import Cors

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_ANY_ADDRESS = frozenset({"0.0.0.0", "::"})


@dataclass(frozen=True)
class Access:
    """The rules of one running host."""

    key: str
    is_key_required: bool
    host_names: frozenset[str]
    """Accepted names in `Host`, in lower case."""
    is_any_address_ours: bool = False
    """Whether IP addresses are accepted: on every interface, if no names are given."""
    cors: Cors = field(default_factory=Cors)
    is_loopback: bool = False
    """Whether only this machine can reach the host."""

    @staticmethod
    def of_address(
        address: str,
        key: str,
        allowed_hosts: Sequence[str] = (),
        *,
        is_key_wanted: bool = False,
        cors: Cors | None = None,
    ) -> Access:
        """Returns the rules for an address to listen on; without loopback, the key is required."""
        names = {name.lower() for name in (*_LOOPBACK, *allowed_hosts)}
        is_any_address_ours = address in _ANY_ADDRESS and not allowed_hosts
        if address not in _ANY_ADDRESS:
            names.add(address.lower())
        elif is_any_address_ours:
            names.update(_names_of_the_machine())
        return Access(
            key=key,
            is_key_required=is_key_wanted or address.lower() not in _LOOPBACK,
            host_names=frozenset(names),
            is_any_address_ours=is_any_address_ours,
            cors=cors or Cors(),
            is_loopback=address.lower() in _LOOPBACK,
        )

    def is_foreign(self, method: str, headers: Mapping[str, str], *, is_rpc: bool = False) -> bool:
        """Returns whether the origin of a request is forbidden: the response is 403."""
        host = headers.get("host", "")
        name = _name_of(host)
        # The RPC port only listens on loopback, whatever the public one does. A page can make its
        # own name resolve to any address, but it cannot use an address as its name.
        is_ours = name in _LOOPBACK if is_rpc else name in self.host_names
        if not is_ours and not (not is_rpc and self.is_any_address_ours and _is_address(name)):
            return True
        origin = headers.get("origin")
        if method in ("GET", "HEAD"):
            return self._is_fetched_by_foreign_page(headers, origin)
        if origin is None:
            return False
        if not is_rpc and self.cors.permits(origin):
            return False
        return is_rpc or urlsplit(origin).netloc.lower() != host.lower()

    def _is_fetched_by_foreign_page(self, headers: Mapping[str, str], origin: str | None) -> bool:
        """Returns whether a page of another origin fetches this, for example as an image.

        The page could not read the response, but a GET may also start something. Only browsers send
        these headers. Links that a person opens are allowed, because the other page has no part in
        that; a page that navigates by itself is not.
        """
        site = headers.get("sec-fetch-site")
        if site is None:  # an old browser, which names the page in some cases, or another program
            if origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower():
                return False
        elif site in ("none", "same-origin") or _is_opened_by_a_person(headers):
            return False
        return not self.cors.permits(origin) and not self.cors.permits_all

    def has_key(self, headers: Mapping[str, str], code: str | None) -> bool:
        """Returns whether a request has the key, if one is required. The header is read first."""
        if not self.is_key_required:
            return True
        given = headers.get("x-functions-key", code or "")
        if not self.key:  # there is no key, so no request can have it
            return False
        return hmac.compare_digest(given.encode("utf-8", "replace"), self.key.encode())


def _is_opened_by_a_person(headers: Mapping[str, str]) -> bool:
    is_page = headers.get("sec-fetch-dest") == "document"
    return is_page and headers.get("sec-fetch-user") == "?1"


def _names_of_the_machine() -> set[str]:
    name = socket.gethostname().lower()
    return {name, f"{name}.local", socket.getfqdn().lower()} - {""}


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _name_of(host: str) -> str:
    """Returns the name in a `Host` header, without the port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""
