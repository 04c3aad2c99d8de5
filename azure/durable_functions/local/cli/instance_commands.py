"""The sub-commands of ``durable`` that steer and show instances and entities. Source: host.md 11.1.

Exit codes: 0 done; 1 it cannot be done (no app, no host, an unusable store); 2 wrong usage; 3 there
is no such instance, entity or function; 4 refused as things stand; 5 an instance that was waited
for has failed or was terminated, or a function that was run by hand has failed; 6 it has not ended
in time.
"""

from __future__ import annotations

import asyncio
import functools
import json
import re
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, unquote_plus

import click
from rich.console import Console

from azure.durable_functions._errors import DurableFunctionsError
from azure.durable_functions._wire import depth, timestamps
from azure.durable_functions.local import failure_texts
from azure.durable_functions.local.cli import management_client, tables
from azure.durable_functions.local.cli.management_client import Management, Reply
from azure.durable_functions.local.engine.registry import Kind
from azure.durable_functions.local.store.instances import TERMINAL

CANNOT, NOT_FOUND, REFUSED, FAILED, NOT_ENDED = 1, 3, 4, 5, 6

_CONTINUATION = "x-ms-continuation-token"
_NO_SUCH_INSTANCE = re.compile(r"No instance with ID .* was found|was not found")
"""In the words of the extension, and of its earlier releases."""
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0
_WITH_FAILURE: dict[str, object] = {"showFailure": "true"}
_STATUSES = ("Pending", "Running", "Suspended", "Completed", "Failed", "Terminated")

Work = Callable[[Management], Awaitable[int]]
Command = TypeVar("Command", bound=Callable[..., Any])
Shown = TypeVar("Shown")

console = Console(soft_wrap=False)


class Problem(Exception):
    """A request was not answered as hoped: text and exit code."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True)
class Target:
    """Which host or folder is meant."""

    folder: Path
    url: str | None
    code: str


def _where(command: Callable[..., None]) -> Callable[..., None]:
    """Options that say which host or folder is meant; the command gets them as `Target`."""

    @functools.wraps(command)
    def with_target(folder: Path, url: str | None, code: str, **given: Any) -> None:
        command(Target(folder, url, code), **given)

    wrapped: Callable[..., None] = with_target
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
        wrapped = option(wrapped)
    return wrapped


def _as_json(command: Command) -> Command:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def _reason(command: Command) -> Command:
    return click.option("--reason", default="", help="Is recorded with it.")(command)


def run(target: Target, work: Work, *, needs_names: bool = False) -> None:
    """Do some work with the management API, and exit with its code."""
    door: AbstractAsyncContextManager[Management]
    if target.url is None:
        door = management_client.of_folder(target.folder, needs_names=needs_names)
    else:
        door = management_client.of_url(target.url, target.code)

    async def do() -> int:
        async with door as api:
            return await work(api)

    try:
        sys.exit(asyncio.run(do()))
    except Problem as problem:
        click.echo(f"durable: {problem}", err=True)
        sys.exit(problem.code)
    except DurableFunctionsError as error:
        click.echo(f"durable: {error}", err=True)
        sys.exit(CANNOT)


def _checked(reply: Reply, what: str) -> Reply:
    """A reply that says yes.

    Raises:
        Problem: It says no.
    """
    if reply.status == 401:
        raise Problem("the host asks for its key: --code KEY", CANNOT)
    if reply.status == 404:
        raise Problem(f"there is no {what}", NOT_FOUND)
    if reply.status == 410:
        raise Problem(f"{what} has ended already", REFUSED)
    if reply.status >= 400:
        is_unknown = "doesn't exist" in reply.problem
        raise Problem(reply.problem, NOT_FOUND if is_unknown else REFUSED)
    return reply


def _text(text: str, name: str) -> str:
    """Text from the command line; ``@FILE`` reads a file, ``-`` standard input."""
    if text == "-":
        return sys.stdin.read()
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"cannot be read: {error}", param_hint=name) from None


def _json_text(text: str, name: str) -> str:
    """JSON text from the command line, as `_text` takes it."""
    text = _text(text, name)
    if depth.is_too_deep(text):
        raise click.BadParameter(depth.TOO_DEEP, param_hint=name)
    try:
        json.loads(text)
    except ValueError as error:
        raise click.BadParameter(
            f"is not JSON: {error}. A text needs its quotes: '\"{text}\"'", param_hint=name
        ) from None
    return text


def _payload(text: str | None, name: str) -> str | None:
    """As the SDK's client sends it: a JSON string that holds JSON (http-api.md 11)."""
    return None if text is None else json.dumps(_json_text(text, name))


def _path(*parts: str) -> str:
    return "/".join(map(_encoded, parts))


def _encoded(part: str) -> str:
    """A part of a path; as hosts decode twice, one that would change is encoded twice (X20)."""
    encoded = quote(part, safe="")
    return encoded if unquote_plus(part) == part else quote(encoded, safe="")


def _anything(item: dict[str, Any]) -> bool:
    return True


async def _pages(
    api: Management,
    path: str,
    query: dict[str, object],
    most: int | None,
    fits: Callable[[dict[str, Any]], bool] = _anything,
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    token = ""
    with console.status("Reading…"):
        while True:
            headers = {_CONTINUATION: token} if token else {}
            size = min(1000, most - len(found)) if most is not None else 1000
            reply = _checked(
                await api.call("GET", path, query={**query, "top": size}, headers=headers),
                "such list",
            )
            found += filter(fits, reply.json)
            token = reply.headers.get(_CONTINUATION, "")
            if not token or (most is not None and len(found) >= most):
                return found[:most]


def _show(value: Shown, table: Callable[[Console, Shown], None], *, as_json: bool) -> None:
    """Print as a table, or for machines."""
    if as_json:
        click.echo(tables.as_json(value))
    else:
        table(console, value)


def _later(api: Management) -> str:
    return "" if api.is_running else " (no host is running: it takes effect at the next start)"


@click.command("list")
@click.option(
    "--runtime-status",
    multiple=True,
    type=click.Choice(_STATUSES, case_sensitive=False),
    help="Only those in this status; may be repeated.",
)
@click.option("--name", help="Only those of this orchestrator.")
@click.option("--custom-status", metavar="TEXT", help="Only those with TEXT in the custom status.")
@click.option("--prefix", help="Only those whose id begins so.")
@click.option("--created-after", help="Only those created at or after this moment (ISO 8601, UTC).")
@click.option("--created-before", help="Only those created at or before it.")
@click.option("--top", type=click.IntRange(1), help="At most so many, the newest.")
@_as_json
@_where
def list_instances(
    target: Target,
    runtime_status: tuple[str, ...],
    name: str | None,
    custom_status: str | None,
    prefix: str | None,
    created_after: str | None,
    created_before: str | None,
    top: int | None,
    as_json: bool,
) -> None:
    """List the instances of orchestrations, the newest first."""
    query = _filter(runtime_status, created_after, created_before)
    query |= {"newestFirst": "true", "entities": "false"}
    for parameter, given in (
        ("instanceIdPrefix", prefix),
        ("name", name),
        ("customStatus", custom_status),
    ):
        if given:
            query[parameter] = given

    def fits(item: dict[str, Any]) -> bool:
        # A host that is none of ours does not know these parameters.
        status = json.dumps(item["customStatus"], ensure_ascii=False)
        return (
            not item["instanceId"].startswith("@")
            and (not name or str(item["name"]).lower() == name.lower())
            and (not custom_status or _without_blanks(custom_status) in _without_blanks(status))
        )

    async def work(api: Management) -> int:
        found = await _pages(api, "instances", query, top, fits)
        found.sort(key=lambda item: str(item["createdTime"]), reverse=True)
        _show(found, tables.instances, as_json=as_json)
        if not as_json and await _pages(api, "entities", {}, 1):
            console.print("Entities are listed by: durable entities", highlight=False)
        return 0

    run(target, work)


def _without_blanks(text: str) -> str:
    return "".join(text.split()).lower()


def _filter(
    statuses: tuple[str, ...], created_after: str | None, created_before: str | None
) -> dict[str, object]:
    given = {
        "runtimeStatus": ",".join(statuses),
        "createdTimeFrom": _moment(created_after, "--created-after"),
        "createdTimeTo": _moment(created_before, "--created-before"),
    }
    return {name: value for name, value in given.items() if value}


def _moment(text: str | None, name: str) -> str | None:
    """A moment as the API reads it; one that it could not read would widen the filter."""
    if text is None:
        return None
    try:
        return timestamps.to_utc(timestamps.parse_moment(text)).isoformat()
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{text!r} is no moment such as 2024-05-01 or 2024-05-01T12:00:00Z", param_hint=name
        ) from None


@click.command()
@click.argument("instance_id")
@_as_json
@_where
def show(target: Target, instance_id: str, as_json: bool) -> None:
    """Show an instance: status, what it waits for, its relatives, input, output."""

    async def work(api: Management) -> int:
        query = {**_WITH_FAILURE, "showDetails": "true"}
        reply = await api.call("GET", _path("instances", instance_id), query=query)
        item = _checked(reply, f"instance {instance_id}").json
        _show(item, tables.instance, as_json=as_json)
        if not (as_json or api.is_running or item["runtimeStatus"] in TERMINAL):
            click.echo("No host is running; it goes on when one is started.")
        return 0

    run(target, work)


@click.command()
@click.argument("instance_id")
@click.option(
    "--export",
    "export_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the whole run to FILE, for 'durable replay'.",
)
@_as_json
@_where
def history(target: Target, instance_id: str, export_file: Path | None, as_json: bool) -> None:
    """Show the history of an instance."""
    query = {"showHistory": "true", "showHistoryOutput": "true", "showDetails": "true"}

    async def export(api: Management, file: Path) -> int:
        reply = await api.call("GET", _path("instances", instance_id), query={"export": "true"})
        whole: dict[str, Any] = _checked(reply, f"instance {instance_id}").json
        if "history" not in whole:
            raise DurableFunctionsError(
                "that host is none of ours: only 'durable start' gives the whole history"
            )
        file.write_text(json.dumps(whole, indent=1), "utf-8")
        click.echo(f"Wrote {len(whole['history'])} events to {file}.")
        return 0

    async def work(api: Management) -> int:
        if export_file is not None:
            return await export(api, export_file)
        reply = await api.call("GET", _path("instances", instance_id), query=query)
        item: dict[str, Any] = _checked(reply, f"instance {instance_id}").json
        events: list[dict[str, Any]] = item.get("historyEvents") or []
        _show(events, tables.history, as_json=as_json)
        return 0

    run(target, work)


@click.command("start-new")
@click.argument("name", required=False)
@click.option("--function-name", help="The same as NAME.")
@click.option("--id", "instance_id", help="Id of the new instance; else one is made.")
@click.option("--input", "input_text", metavar="JSON", help="JSON text, @FILE, or - for stdin.")
@click.option("--version", help="Version of the orchestration.")
@click.option(
    "--wait",
    "wait_seconds",
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="Wait until it has ended, and print its output.",
)
@_as_json
@_where
def start_new(
    target: Target,
    name: str | None,
    function_name: str | None,
    instance_id: str | None,
    input_text: str | None,
    version: str | None,
    wait_seconds: float | None,
    as_json: bool,
) -> None:
    """Start an instance of the orchestrator NAME."""
    wanted = name or function_name
    if wanted is None:
        raise click.UsageError("which orchestrator? Give NAME or --function-name")
    body = _payload(input_text, "--input")
    path = _path("orchestrators", wanted, *([instance_id] if instance_id else []))

    async def work(api: Management) -> int:
        await _check_name(api, "orchestrator", wanted)
        query = None if version is None else {"version": version}
        reply = await api.call("POST", path, body, query)
        started = _checked(reply, f"orchestrator {wanted}").json
        if wait_seconds is None:
            click.echo(tables.as_json(started) if as_json else f"{started['id']}{_later(api)}")
            return 0
        if not api.is_running:
            raise Problem(
                f"{started['id']} is stored, but no host is running that would work on it; start "
                "one with: durable start FOLDER",
                NOT_ENDED,
            )
        return await _wait(api, started["id"], wait_seconds, as_json)

    run(target, work, needs_names=True)


async def _check_name(api: Management, kind: Kind, name: str) -> None:
    """Refuse what would be accepted, and fail later.

    Raises:
        Problem: The app has no such function.
    """
    unknown = await api.unknown(kind, name)
    if unknown is not None:
        raise Problem(unknown, NOT_FOUND)


async def _wait(api: Management, instance_id: str, seconds: float, as_json: bool) -> int:
    end = time.monotonic() + seconds
    pause = _FIRST_PAUSE_SECONDS
    with console.status(f"Waiting for {instance_id}…"):
        while True:
            path = _path("instances", instance_id)
            reply = await api.call("GET", path, query=_WITH_FAILURE)
            item = _checked(reply, f"instance {instance_id}").json
            if item["runtimeStatus"] in TERMINAL or time.monotonic() >= end:
                break
            await asyncio.sleep(min(pause, max(0.0, end - time.monotonic())))
            pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)
    if as_json:
        click.echo(tables.as_json(item))
    elif item["runtimeStatus"] == "Completed":
        click.echo(json.dumps(item["output"], ensure_ascii=False))
    else:
        click.echo(tables.ending(item), err=True)
    if item["runtimeStatus"] not in TERMINAL:
        return NOT_ENDED
    return 0 if item["runtimeStatus"] == "Completed" else FAILED


@click.command("raise-event")
@click.argument("instance_id")
@click.argument("event_name")
@click.option("--event-data", "data", metavar="JSON", help="JSON text, @FILE, or - for stdin.")
@_where
def raise_event(
    target: Target,
    instance_id: str,
    event_name: str,
    data: str | None,
) -> None:
    """Send the event EVENT_NAME to an instance."""
    body = _json_text("null" if data is None else data, "--event-data")

    async def work(api: Management) -> int:
        path = _path("instances", instance_id, "raiseEvent", event_name)
        _checked(await api.call("POST", path, body), f"instance {instance_id}")
        click.echo(f"Sent {event_name} to {instance_id}{_later(api)}")
        return 0

    run(target, work)


def _recursive(command: Command) -> Command:
    return click.option(
        "--recursive",
        is_flag=True,
        help="Also the sub-orchestrations, and theirs; Azure ignores this.",
    )(command)


def _operation(name: str, text: str, done: str, *, reaches_children: bool = True) -> click.Command:
    @_reason
    @_where
    def operate(target: Target, instance_id: str, reason: str, recursive: bool = False) -> None:
        query: dict[str, object] = {"reason": reason} if reason else {}
        if recursive:
            query["recursive"] = "true"

        async def work(api: Management) -> int:
            path = _path("instances", instance_id, name)
            reply = await api.call("POST", path, query=query)
            _checked(reply, f"instance {instance_id}")
            whom = f"{instance_id} and its children" if recursive else instance_id
            click.echo(f"{done} {whom}{_later(api)}")
            return 0

        run(target, work)

    options = _recursive(operate) if reaches_children else operate
    return click.command(name, help=text)(click.argument("instance_id")(options))


terminate = _operation("terminate", "End an instance where it stands.", "Asked to terminate")
suspend = _operation("suspend", "Let an instance pause.", "Asked to suspend")
resume = _operation("resume", "Let a suspended instance go on.", "Asked to resume")
rewind = _operation(
    "rewind",
    "Let a failed instance, and its failed children, do again what has ended it.",
    "Rewound",
    reaches_children=False,
)


@click.command()
@click.argument("instance_id")
@click.option("--same-id", is_flag=True, help="Replace the instance instead of making a new one.")
@click.option("--new-id", metavar="ID", help="Id of the new instance; else one is made.")
@click.option("--version", help="Version of the new instance; else the host's defaultVersion.")
@_where
def restart(
    target: Target, instance_id: str, same_id: bool, new_id: str | None, version: str | None
) -> None:
    """Start an instance's orchestrator again with the same input."""
    if same_id and new_id is not None:
        raise click.UsageError("give --same-id or --new-id, not both")
    operation = "restart"
    query: dict[str, object] = {"restartWithNewInstanceId": "false" if same_id else "true"}
    if new_id is not None or version is not None:
        operation = "restartWithOptions"
        made = instance_id if same_id else uuid.uuid4().hex
        query = {"newInstanceId": made if new_id is None else new_id}
    if version is not None:
        query["version"] = version

    async def work(api: Management) -> int:
        reply = await api.call("POST", _path("instances", instance_id, operation), query=query)
        if reply.status == 400 and _NO_SUCH_INSTANCE.search(reply.problem):
            raise Problem(f"there is no instance {instance_id}", NOT_FOUND)
        click.echo(f"{_checked(reply, f'instance {instance_id}').json['id']}{_later(api)}")
        return 0

    run(target, work, needs_names=True)


@click.command()
@click.argument("instance_id", required=False)
@click.option("--created-after", help="Those created at or after this moment (ISO 8601, UTC).")
@click.option("--created-before", help="Those created at or before it.")
@click.option(
    "--runtime-status",
    multiple=True,
    type=click.Choice(_STATUSES, case_sensitive=False),
    help="Only those in this status; may be repeated.",
)
@_recursive
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@_where
def purge(
    target: Target,
    instance_id: str | None,
    created_after: str | None,
    created_before: str | None,
    runtime_status: tuple[str, ...],
    recursive: bool,
    yes: bool,
) -> None:
    """Delete an instance, or all ended ones that fit."""
    query = _filter(runtime_status, created_after, created_before)
    if instance_id and query:
        raise click.UsageError("give an INSTANCE_ID or a filter, not both")
    if not instance_id and not query:
        raise click.UsageError(
            "which instances? Give an INSTANCE_ID, --created-before, --created-after or "
            "--runtime-status"
        )
    if not yes:
        what = instance_id or "all ended instances that fit"
        children = ", and their children that have ended," if recursive else ""
        click.confirm(f"Delete {what}{children} with history and output?", abort=True)
    how = {"recursive": "true"} if recursive else {}

    async def work(api: Management) -> int:
        with console.status("Deleting…"):
            if instance_id:
                reply = await api.call("DELETE", _path("instances", instance_id), query=how)
                _checked(reply, f"instance {instance_id}")
            else:
                everything = {"createdTimeFrom": "0001-01-01T00:00:00Z", **query, **how}
                reply = await api.call("DELETE", "instances", query=everything)
                if reply.status != 404:  # here it means that nothing fits
                    _checked(reply, "such instance")
        deleted = reply.json["instancesDeleted"] if reply.status == 200 else 0
        click.echo(f"Deleted {deleted} instance(s).")
        return 0

    run(target, work)


@click.command()
@click.argument("name", required=False)
@click.option("--top", type=click.IntRange(1), help="At most so many.")
@_as_json
@_where
def entities(target: Target, name: str | None, top: int | None, as_json: bool) -> None:
    """List the entities, or those of the entity function NAME, with their state."""

    async def work(api: Management) -> int:
        path = _path("entities", *([name] if name else []))
        found = await _pages(api, path, {"fetchState": "true"}, top)
        _show(found, tables.entities, as_json=as_json)
        return 0

    run(target, work)


@click.command()
@click.argument("name")
@click.argument("key")
@click.argument("operation")
@click.option("--input", "input_text", metavar="JSON", help="JSON text, @FILE, or - for stdin.")
@_where
def signal(
    target: Target,
    name: str,
    key: str,
    operation: str,
    input_text: str | None,
) -> None:
    """Send the entity KEY of the function NAME an OPERATION."""
    body = _payload(input_text, "--input")

    async def work(api: Management) -> int:
        await _check_name(api, "entity", name)
        reply = await api.call("POST", _path("entities", name, key), body, {"op": operation})
        _checked(reply, f"entity function {name}")
        click.echo(f"Signalled {name} {key}{_later(api)}")
        return 0

    run(target, work, needs_names=True)


@click.command()
@click.argument("name")
@click.option(
    "--input",
    "text",
    metavar="TEXT",
    default="",
    help="Text for its trigger, JSON for activities; @FILE, or - for stdin.",
)
@_as_json
@_where
def invoke(target: Target, name: str, text: str, as_json: bool) -> None:
    """Run a function of a running host by hand, and show its result or its failure."""
    text = _text(text, "--input")

    async def work(api: Management) -> int:
        with console.status(f"Running {name}…"):
            reply = _checked(await api.invoke(name, text), f"function {name}")
        if reply.status == 202:  # of Core Tools, which do not tell more
            click.echo(f"The host runs {name}; its log tells how it ends.")
            return 0
        return _show_end(name, reply.json, as_json)

    run(target, work)


def _show_end(name: str, ended: dict[str, Any], as_json: bool) -> int:
    """Print how a function has ended; gives the exit status."""
    failure, response = ended.get("failure"), ended.get("response")
    is_bad = failure is not None or (response is not None and response["status"] >= 400)
    if as_json:
        click.echo(tables.as_json(ended))
    elif failure is not None:
        told = failure_texts.told(failure_texts.of_worker(failure))
        click.echo(f"{name} has failed: {told}", err=True)
    elif response is not None:
        click.echo(f"{name} has answered with status {response['status']}", err=True)
        click.echo(response["body"])
    elif "result" in ended:
        click.echo(json.dumps(ended["result"], ensure_ascii=False))
    else:
        click.echo(f"{name} has run.")
    return FAILED if is_bad else 0


COMMANDS = {
    command.name: command
    for command in (
        *(list_instances, show, history, start_new, raise_event, terminate, suspend, resume),
        *(rewind, restart, purge, entities, signal, invoke),
    )
}
"""By their names; `cli` lists the names too, to import this module only when one is asked for."""
