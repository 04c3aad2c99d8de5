"""Sends the HTTP requests of orchestrations. Source: protocol.md 12, host.md 8.20."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Mapping
from typing import Any

import aiohttp
from yarl import URL

from azure.durable_functions._wire import shapes
from azure.durable_functions.local.engine.invoker import HttpFailed

_TIMEOUT_SECONDS = 100.0
MAX_ANSWER_BYTES = 100 * 1024 * 1024
_REDIRECTIONS = (301, 302, 303, 307, 308)
_MOST_REDIRECTIONS = 11
_SECRETS = frozenset(("authorization", "cookie", "proxy-authorization", "x-functions-key"))
_CHARSETS = frozenset(
    (
        *("utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin-1", "latin1"),
        *(f"iso-8859-{number}" for number in range(2, 17) if number != 12),
        *(f"{name}125{number}" for name in ("windows-", "cp") for number in range(9)),
        *("utf-16", "utf-16le", "utf-16be", "utf-16-le", "utf-16-be", "koi8-r", "koi8-u"),
        *("shift-jis", "euc-jp", "gb2312", "gbk", "gb18030", "big5", "euc-kr"),
    )
)
"""Encodings of text: Python has other codecs, which decompress or take long."""
_CONTENT_HEADERS = frozenset(
    (
        *("allow", "content-disposition", "content-encoding", "content-language"),
        *("content-length", "content-location", "content-md5", "content-range", "content-type"),
        *("expires", "last-modified"),
    )
)
"""Headers that describe a body; the extension does not report them."""
_SCOPED_RESOURCES = ("https://management.core.windows.net", "https://graph.microsoft.com")


class DurableHttpSender:
    """Sends the requests over a pool of connections, which the first request creates."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Sends a request; a response with any status is a result.

        Args:
            request: The fields of protocol.md 12.1.

        Returns:
            The fields of protocol.md 12.3.

        Raises:
            HttpFailed: There was no response, or the request cannot be sent.
        """
        headers = _headers(request)
        if request.get("tokenSource") is not None:
            token = await asyncio.to_thread(_token, request["tokenSource"])
            headers.append(("Authorization", f"Bearer {token}"))
        content = request.get("content")
        body = None if content is None else str(content).encode("utf-8", "replace")
        if body is not None and not any(name.lower() == "content-type" for name, _ in headers):
            headers.append(("Content-Type", "text/plain; charset=utf-8"))
        if self._session is None:
            # Cookies must not travel from one instance to another, so none are kept.
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        method = str(request.get("method") or "GET")
        try:
            url = URL(str(request.get("uri")))
            return await self._follow(self._session, method, url, headers, body)
        except asyncio.TimeoutError:
            raise HttpFailed(f"There was no answer within {_TIMEOUT_SECONDS:g} seconds") from None
        except (aiohttp.ClientError, ValueError, OSError) as error:
            raise HttpFailed(str(error) or type(error).__name__) from error

    async def _follow(
        self,
        session: aiohttp.ClientSession,
        method: str,
        url: URL,
        headers: list[tuple[str, str]],
        body: bytes | None,
    ) -> dict[str, Any]:
        """Returns the response after redirections; secrets are only sent to the first origin."""
        for _ in range(_MOST_REDIRECTIONS):
            async with session.request(
                method, url, headers=headers, data=body, allow_redirects=False
            ) as response:
                location = response.headers.get("Location")
                if response.status not in _REDIRECTIONS or not location:
                    return {
                        "statusCode": response.status,
                        "headers": _shown(response.headers.items()),
                        "content": await _text_of(response),
                    }
                target = url.join(URL(location))
            is_get = response.status == 303 and method.upper() != "HEAD"
            if is_get or (response.status in (301, 302) and method.upper() == "POST"):
                method, body = "GET", None
                headers = [(n, v) for n, v in headers if n.lower() not in _CONTENT_HEADERS]
            if target.origin() != url.origin():
                headers = [(n, v) for n, v in headers if n.lower() not in _SECRETS]
            url = target
        raise HttpFailed(f"There were more than {_MOST_REDIRECTIONS - 1} redirections")

    async def close(self) -> None:
        """Closes the connections."""
        if self._session is not None:
            await self._session.close()


async def _text_of(response: aiohttp.ClientResponse) -> str:
    """Returns the body as text. Counts the unpacked bytes: a small body may unpack to any size."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise HttpFailed(f"The answer has more than {MAX_ANSWER_BYTES} bytes")
    charset = str(response.charset or "utf-8").lower().replace("_", "-")
    return body.decode(charset if charset in _CHARSETS else "utf-8", "replace")


def _headers(request: Mapping[str, Any]) -> list[tuple[str, str]]:
    given: Any = request.get("headers") or {}
    if not shapes.is_object(given):
        raise HttpFailed("headers must be an object of texts")
    headers: list[tuple[str, str]] = []
    for name, value in given.items():
        values: list[Any] = value if shapes.is_array(value) else [value]
        headers += [(name, str(item)) for item in values]
    for name, value in headers:
        if name.lower() == "content-type" and value.lower().startswith("multipart/"):
            raise HttpFailed("Multipart content is not supported")
    return headers


def _shown(headers: Any) -> dict[str, str | list[str]]:
    collected: dict[str, list[str]] = {}
    for name, value in headers:
        if name.lower() not in _CONTENT_HEADERS:
            collected.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in collected.items()}


def _token(source: Mapping[str, Any]) -> str:
    """Returns a bearer token for the resource, from the default Azure credential."""
    kind = source.get("kind")
    if kind != "AzureManagedIdentity":
        raise HttpFailed(f"A token source of kind {kind!r} is not supported")
    try:
        identity = importlib.import_module("azure.identity")
    except ModuleNotFoundError:
        raise HttpFailed(
            "A token source needs the library azure-identity in the host's environment; "
            "install it with: pip install azure-identity"
        ) from None
    resource = str(source.get("resource"))
    if resource.rstrip("/") in _SCOPED_RESOURCES:
        resource = f"{resource.rstrip('/')}/.default"
    options: dict[str, Any] = source.get("options") or {}
    names = {"authorityhost": "authority", "tenantid": "tenant_id"}
    keywords = {names[name]: value for name, value in options.items() if name in names}
    try:
        tenant = {"tenant_id": keywords.pop("tenant_id")} if "tenant_id" in keywords else {}
        credential = identity.DefaultAzureCredential(**keywords)
        return str(credential.get_token(resource, **tenant).token)
    except Exception as error:  # that library's errors have no common class but Exception
        raise HttpFailed(f"No token for {resource}: {error}") from error
