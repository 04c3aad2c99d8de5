"""What the commands for instances and entities share: their host, JSON arguments, requests."""

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
"""What a command does once it can reach the management API."""
Command = TypeVar("Command", bound=Callable[..., Any])
Shown = TypeVar("Shown")

console = Console(soft_wrap=False)


@dataclass(frozen=True)
class Target:
    """The host or app folder that a command addresses."""

    folder: Path
    url: str | None
    """URL of a remote host; None means the app in `folder`."""
    code: str
    """Access key for `url`."""


def with_target(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options that choose a host or folder; the command receives a `Target`."""

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
        click.option("--url", help="URL of a remote host: http://NAME:PORT."),
        click.option("--code", default="", help="Access key for --url.", envvar="DURABLE_CODE"),
    ):
        extended = option(extended)
    return extended


def with_json(command: Command) -> Command:
    """Adds ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def run(target: Target, work: Work, *, needs_names: bool = False) -> None:
    """Runs `work` with the target's management API and exits with the code it returns.

    Args:
        target: The host or folder to connect to.
        work: What to do with its management API.
        needs_names: Whether `work` checks names of the app's functions.
    """
    connection: AbstractAsyncContextManager[Management]
    if target.url is None:
        connection = management_client.of_folder(target.folder, needs_names=needs_names)
    else:
        connection = management_client.of_url(target.url, target.code)

    async def do() -> ExitCode:
        async with connection as api:
            return await work(api)

    with errors_as_exit_codes():
        sys.exit(asyncio.run(do()))


def checked(reply: Reply, what: str) -> Reply:
    """Returns the reply if the request succeeded.

    Args:
        reply: The host's answer.
        what: The thing that was addressed, for the error.

    Raises:
        Problem: The host refused the request.
    """
    if reply.status == 401:
        raise Problem("the host requires its access key: --code KEY", ExitCode.CANNOT)
    if reply.status == 404:
        raise Problem(f"there is no {what}", ExitCode.NOT_FOUND)
    if reply.status == 410:
        raise Problem(f"{what} has already ended", ExitCode.REFUSED)
    if reply.status >= 400:
        is_unknown = "doesn't exist" in reply.problem
        raise Problem(reply.problem, ExitCode.NOT_FOUND if is_unknown else ExitCode.REFUSED)
    return reply


def read_text(text: str, name: str) -> str:
    """Returns an argument's text; ``@FILE`` reads a file, ``-`` standard input."""
    if text == "-":
        return sys.stdin.read()
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"cannot be read: {error}", param_hint=name) from None


def read_json(text: str, name: str) -> str:
    """Returns an argument's text like `read_text`, and checks that it is JSON."""
    text = read_text(text, name)
    if depth.is_too_deep(text):
        raise click.BadParameter(depth.TOO_DEEP, param_hint=name)
    try:
        json.loads(text)
    except ValueError as error:
        raise click.BadParameter(
            f"is not JSON: {error}. A string needs its quotes: '\"{text}\"'", param_hint=name
        ) from None
    return text


def read_payload(text: str | None, name: str) -> str | None:
    """Returns a JSON argument as the SDK's client sends it: in a JSON string (http-api.md 11)."""
    return None if text is None else json.dumps(read_json(text, name))


def path_of(*parts: str) -> str:
    """Joins and encodes the parts of a path below the management API's base."""
    return "/".join(map(_encoded, parts))


def _encoded(part: str) -> str:
    """Encodes one part. Hosts decode twice, so a part that would change is encoded twice (X20)."""
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
    """Returns the items of a list that the API returns page by page.

    Args:
        api: Where to send the requests.
        path: The list's path.
        query: Parameters of every request.
        most: The maximum number of items; None returns all.
        fits: Selects the items to return.

    Raises:
        Problem: The host refused a request.
    """
    found: list[dict[str, Any]] = []
    token = ""
    with console.status("Reading…"):
        while True:
            headers = {_CONTINUATION: token} if token else {}
            size = min(1000, most - len(found)) if most is not None else 1000
            reply = await api.call("GET", path, query={**query, "top": size}, headers=headers)
            # A host always has its lists, so a 404 can only mean a wrong URL.
            checked(reply, "Durable Functions host at this URL")
            found += filter(fits, reply.json)
            token = reply.headers.get(_CONTINUATION, "")
            if not token or (most is not None and len(found) >= most):
                return found[:most]


def show_value(value: Shown, table: Callable[[Console, Shown], None], *, as_json: bool) -> None:
    """Prints a value as a table or as JSON."""
    if as_json:
        click.echo(tables.as_json(value))
    else:
        table(console, value)


def when_it_works(api: Management) -> str:
    """Returns the end of a message: when a change takes effect if no host is running."""
    return "" if api.is_running else " (no host is running: it takes effect at the next start)"


async def demand_function(api: Management, kind: Kind, name: str) -> None:
    """Checks that the app has a function: a host would accept the request and fail later.

    Raises:
        Problem: The app has no such function.
    """
    unknown = await api.unknown(kind, name)
    if unknown is not None:
        raise Problem(unknown, ExitCode.NOT_FOUND)
