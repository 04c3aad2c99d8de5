"""What the commands about instances and entities share: which host they mean, JSON, requests."""

from __future__ import annotations

import asyncio
import functools
import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, unquote_plus

import click
from rich.console import Console

from azure.durable_functions._wire import depth
from azure.durable_functions.local.engine.registry import Kind

from . import management_client, tables
from .exit_codes import ExitCode, Problem, errors_as_exit_codes
from .management_client import Management, Reply

_CONTINUATION = "x-ms-continuation-token"

Work = Callable[[Management], Awaitable[ExitCode]]
"""What a command does with the management API."""
Command = TypeVar("Command", bound=Callable[..., Any])
Shown = TypeVar("Shown")

console = Console(soft_wrap=False)


@dataclass(frozen=True)
class Target:
    """Which host or folder is meant."""

    folder: Path
    url: str | None
    """URL of a remote host; None means the app in `folder`."""
    code: str
    """Access key for `url`."""


def with_target(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which host or folder is meant; the command gets a `Target`."""

    @functools.wraps(command)
    def wrapped(folder: Path, url: str | None, code: str, **given: Any) -> None:
        command(Target(folder, url, code), **given)

    extended: Callable[..., None] = wrapped
    for option in (
        click.option(
            "--script-root",
            "folder",
            type=click.Path(path_type=Path),
            default=".",
            help="The app's folder [here].",
        ),
        click.option("--url", help="Of a host that runs elsewhere: http://NAME:PORT."),
        click.option("--code", default="", help="Key of that host.", envvar="DURABLE_CODE"),
    ):
        extended = option(extended)
    return extended


def with_json(command: Command) -> Command:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def run(target: Target, work: Work, *, needs_names: bool = False) -> None:
    """Do some work with the management API, and exit with its code.

    Args:
        target: Whose management API.
        work: What to do with it.
        needs_names: Whether it asks for the names of the app's functions.
    """
    door: AbstractAsyncContextManager[Management]
    if target.url is None:
        door = management_client.of_folder(target.folder, needs_names=needs_names)
    else:
        door = management_client.of_url(target.url, target.code)

    async def do() -> ExitCode:
        async with door as api:
            return await work(api)

    with errors_as_exit_codes():
        sys.exit(asyncio.run(do()))


def checked(reply: Reply, what: str) -> Reply:
    """A reply that says yes.

    Raises:
        Problem: It says no.
    """
    if reply.status == 401:
        raise Problem("the host asks for its key: --code KEY", ExitCode.CANNOT)
    if reply.status == 404:
        raise Problem(f"there is no {what}", ExitCode.NOT_FOUND)
    if reply.status == 410:
        raise Problem(f"{what} has ended already", ExitCode.REFUSED)
    if reply.status >= 400:
        is_unknown = "doesn't exist" in reply.problem
        raise Problem(reply.problem, ExitCode.NOT_FOUND if is_unknown else ExitCode.REFUSED)
    return reply


def read_text(text: str, name: str) -> str:
    """Text from the command line; ``@FILE`` reads a file, ``-`` standard input."""
    if text == "-":
        return sys.stdin.read()
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"cannot be read: {error}", param_hint=name) from None


def read_json(text: str, name: str) -> str:
    """JSON text from the command line, as `read_text` takes it."""
    text = read_text(text, name)
    if depth.is_too_deep(text):
        raise click.BadParameter(depth.TOO_DEEP, param_hint=name)
    try:
        json.loads(text)
    except ValueError as error:
        raise click.BadParameter(
            f"is not JSON: {error}. A text needs its quotes: '\"{text}\"'", param_hint=name
        ) from None
    return text


def read_payload(text: str | None, name: str) -> str | None:
    """As the SDK's client sends it: a JSON string that holds JSON (http-api.md 11)."""
    return None if text is None else json.dumps(read_json(text, name))


def path_of(*parts: str) -> str:
    """A path below the management API's base."""
    return "/".join(map(_encoded, parts))


def _encoded(part: str) -> str:
    """A part of a path; as hosts decode twice, one that would change is encoded twice (X20)."""
    encoded = quote(part, safe="")
    return encoded if unquote_plus(part) == part else quote(encoded, safe="")


def _anything(item: dict[str, Any]) -> bool:
    return True


async def read_pages(
    api: Management,
    path: str,
    query: dict[str, object],
    most: int | None,
    fits: Callable[[dict[str, Any]], bool] = _anything,
) -> list[dict[str, Any]]:
    """Every item of a list that the API returns page by page.

    Args:
        api: Whose list.
        path: Of the list.
        query: Of each request.
        most: How many items to return at most; None for all.
        fits: Which of them count.
    """
    found: list[dict[str, Any]] = []
    token = ""
    with console.status("Reading…"):
        while True:
            headers = {_CONTINUATION: token} if token else {}
            size = min(1000, most - len(found)) if most is not None else 1000
            reply = checked(
                await api.call("GET", path, query={**query, "top": size}, headers=headers),
                "such list",
            )
            found += filter(fits, reply.json)
            token = reply.headers.get(_CONTINUATION, "")
            if not token or (most is not None and len(found) >= most):
                return found[:most]


def show_value(value: Shown, table: Callable[[Console, Shown], None], *, as_json: bool) -> None:
    """Print as a table, or for machines."""
    if as_json:
        click.echo(tables.as_json(value))
    else:
        table(console, value)


def when_it_works(api: Management) -> str:
    """What a message ends with while no host is running."""
    return "" if api.is_running else " (no host is running: it takes effect at the next start)"


async def demand_function(api: Management, kind: Kind, name: str) -> None:
    """Refuse what would be accepted, and fail later.

    Raises:
        Problem: The app has no such function.
    """
    unknown = await api.unknown(kind, name)
    if unknown is not None:
        raise Problem(unknown, ExitCode.NOT_FOUND)
