"""Who may talk to the host. Source: http-api.md 1.3, 1.4.

On a developer's machine everybody may, but no web page of another site: what such a page sends
carries its `Origin`, and what reaches the host under a foreign name carries that in `Host`.
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
    """Names in `Host` that are ours, lower case."""
    is_any_address_ours: bool = False
    """Listening on every interface without names given: addresses are ours, too."""
    cors: Cors = field(default_factory=Cors)
    is_loopback: bool = False
    """Only who sits at this machine reaches the host."""

    @staticmethod
    def of_address(
        address: str,
        key: str,
        allowed_hosts: Sequence[str] = (),
        *,
        is_key_wanted: bool = False,
        cors: Cors | None = None,
    ) -> Access:
        """The rules for an address to listen on; one that is not loopback turns the key on."""
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
        """Whether a request comes from somewhere it must not: answered with 403."""
        host = headers.get("host", "")
        name = _name_of(host)
        # The workers' door listens on loopback alone, whatever the public one does. A page may make
        # its own name lead to any address, but it cannot make an address its name.
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
        """Whether a page of another origin fetches this, as an image for instance.

        It could not read the answer, but a GET may also start something. Only browsers send these
        headers. Links may lead here: what a person opens is no business of the other page. One that
        navigates by itself has no such person behind it.
        """
        site = headers.get("sec-fetch-site")
        if site is None:  # no browser of today; one of yesterday names the page, if it must
            if origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower():
                return False
        elif site in ("none", "same-origin") or _is_opened_by_a_person(headers):
            return False
        return not self.cors.permits(origin) and not self.cors.permits_all

    def has_key(self, headers: Mapping[str, str], code: str | None) -> bool:
        """Whether a request carries the key, where one is required; the header wins."""
        if not self.is_key_required:
            return True
        given = headers.get("x-functions-key", code or "")
        if not self.key:  # none is known, so nobody can have it
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
    """The name in a `Host` header, without the port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""
