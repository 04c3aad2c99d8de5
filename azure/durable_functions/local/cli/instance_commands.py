"""The sub-commands of ``durable`` that show and manage instances. Source: host.md 11.1."""

from __future__ import annotations

import asyncio
import json
import re
import time
import uuid
from pathlib import Path
from typing import Any

import click

from azure.durable_functions._errors import DurableFunctionsError
from azure.durable_functions._wire import timestamps
from azure.durable_functions.local.store.instances import TERMINAL

from . import tables
from .exit_codes import ExitCode, Problem
from .management_client import Management
from .targets import (
    Command,
    Target,
    checked,
    console,
    demand_function,
    path_of,
    read_json,
    read_pages,
    read_payload,
    run,
    show_value,
    when_it_works,
    with_json,
    with_target,
)

_NO_SUCH_INSTANCE = re.compile(r"No instance with ID .* was found|was not found")
"""The wording of the extension, and that of its earlier releases."""
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0
_WITH_FAILURE: dict[str, object] = {"showFailure": "true"}
_STATUSES = ("Pending", "Running", "Suspended", "Completed", "Failed", "Terminated")


def _with_reason(command: Command) -> Command:
    return click.option("--reason", default="", help="Reason recorded in the history.")(command)


@click.command("list")
@click.option(
    "--runtime-status",
    multiple=True,
    type=click.Choice(_STATUSES, case_sensitive=False),
    help="Only instances with this status (repeatable).",
)
@click.option("--name", help="Only instances of this orchestrator.")
@click.option(
    "--custom-status", metavar="TEXT", help="Only instances with TEXT in the custom status."
)
@click.option("--prefix", help="Only instances whose ID starts with this.")
@click.option("--created-after", help="Only instances created at or after this (ISO 8601, UTC).")
@click.option("--created-before", help="Only instances created at or before this.")
@click.option("--top", type=click.IntRange(1), help="Maximum number of results, newest first.")
@with_json
@with_target
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
    """List orchestration instances, newest first."""
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
        # Other hosts do not know these parameters, so filter here as well.
        status = json.dumps(item["customStatus"], ensure_ascii=False)
        return (
            not item["instanceId"].startswith("@")
            and (not name or str(item["name"]).lower() == name.lower())
            and (not custom_status or _without_blanks(custom_status) in _without_blanks(status))
        )

    async def work(api: Management) -> ExitCode:
        found = await read_pages(api, "instances", query, top, fits)
        found.sort(key=lambda item: str(item["createdTime"]), reverse=True)
        show_value(found, tables.instances, as_json=as_json)
        if not as_json and await read_pages(api, "entities", {}, 1):
            console.print("To list entities: durable entities", highlight=False)
        return ExitCode.DONE

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
    """Returns a time as the API reads it; one that it cannot read would widen the filter."""
    if text is None:
        return None
    try:
        return timestamps.to_utc(timestamps.parse_moment(text)).isoformat()
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{text!r} is not a time such as 2024-05-01 or 2024-05-01T12:00:00Z", param_hint=name
        ) from None


@click.command()
@click.argument("instance_id")
@with_json
@with_target
def show(target: Target, instance_id: str, as_json: bool) -> None:
    """Show an instance: status, what it waits for, parent, children, input, output."""

    async def work(api: Management) -> ExitCode:
        query = {**_WITH_FAILURE, "showDetails": "true"}
        reply = await api.call("GET", path_of("instances", instance_id), query=query)
        item = checked(reply, f"instance {instance_id}").json
        show_value(item, tables.instance, as_json=as_json)
        if not (as_json or api.is_running or item["runtimeStatus"] in TERMINAL):
            click.echo("No host is running; the instance resumes when one starts.")
        return ExitCode.DONE

    run(target, work)


@click.command()
@click.argument("instance_id")
@click.option(
    "--export",
    "export_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the complete history to FILE, for 'durable replay'.",
)
@with_json
@with_target
def history(target: Target, instance_id: str, export_file: Path | None, as_json: bool) -> None:
    """Show the history of an instance."""
    query = {"showHistory": "true", "showHistoryOutput": "true", "showDetails": "true"}

    async def export(api: Management, file: Path) -> ExitCode:
        reply = await api.call("GET", path_of("instances", instance_id), query={"export": "true"})
        whole: dict[str, Any] = checked(reply, f"instance {instance_id}").json
        if "history" not in whole:
            raise DurableFunctionsError(
                "only a host started with 'durable start' can export a complete history"
            )
        file.write_text(json.dumps(whole, indent=1), "utf-8")
        click.echo(f"Wrote {len(whole['history'])} events to {file}.")
        return ExitCode.DONE

    async def work(api: Management) -> ExitCode:
        if export_file is not None:
            return await export(api, export_file)
        reply = await api.call("GET", path_of("instances", instance_id), query=query)
        item: dict[str, Any] = checked(reply, f"instance {instance_id}").json
        events: list[dict[str, Any]] = item.get("historyEvents") or []
        show_value(events, tables.history, as_json=as_json)
        return ExitCode.DONE

    run(target, work)


@click.command("start-new")
@click.argument("name", required=False)
@click.option("--function-name", help="The same as NAME.")
@click.option("--id", "instance_id", help="ID of the new instance [generated].")
@click.option("--input", "input_text", metavar="JSON", help="JSON text, @FILE, or - for stdin.")
@click.option("--version", help="Version of the new instance [the host's defaultVersion].")
@click.option(
    "--wait",
    "wait_seconds",
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="Wait at most this long for its end, and print its output.",
)
@with_json
@with_target
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
        raise click.UsageError("specify the orchestrator: NAME or --function-name")
    body = read_payload(input_text, "--input")
    path = path_of("orchestrators", wanted, *([instance_id] if instance_id else []))

    async def work(api: Management) -> ExitCode:
        await demand_function(api, "orchestrator", wanted)
        query = None if version is None else {"version": version}
        reply = await api.call("POST", path, body, query)
        started = checked(reply, f"orchestrator {wanted}").json
        if wait_seconds is None:
            click.echo(
                tables.as_json(started) if as_json else f"{started['id']}{when_it_works(api)}"
            )
            return ExitCode.DONE
        if not api.is_running:
            raise Problem(
                f"{started['id']} is stored, but no host is running to execute it; start one with: "
                "durable start FOLDER",
                ExitCode.NOT_ENDED,
            )
        return await _wait(api, started["id"], wait_seconds, as_json)

    run(target, work, needs_names=True)


async def _wait(api: Management, instance_id: str, seconds: float, as_json: bool) -> ExitCode:
    end = time.monotonic() + seconds
    pause = _FIRST_PAUSE_SECONDS
    with console.status(f"Waiting for {instance_id}…"):
        while True:
            path = path_of("instances", instance_id)
            reply = await api.call("GET", path, query=_WITH_FAILURE)
            item = checked(reply, f"instance {instance_id}").json
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
        return ExitCode.NOT_ENDED
    return ExitCode.DONE if item["runtimeStatus"] == "Completed" else ExitCode.FAILED


@click.command("raise-event")
@click.argument("instance_id")
@click.argument("event_name")
@click.option("--event-data", "data", metavar="JSON", help="JSON text, @FILE, or - for stdin.")
@with_target
def raise_event(
    target: Target,
    instance_id: str,
    event_name: str,
    data: str | None,
) -> None:
    """Send the event EVENT_NAME to an instance."""
    body = read_json("null" if data is None else data, "--event-data")

    async def work(api: Management) -> ExitCode:
        path = path_of("instances", instance_id, "raiseEvent", event_name)
        checked(await api.call("POST", path, body), f"instance {instance_id}")
        click.echo(f"Sent {event_name} to {instance_id}{when_it_works(api)}")
        return ExitCode.DONE

    run(target, work)


def _recursive(command: Command) -> Command:
    return click.option(
        "--recursive",
        is_flag=True,
        help="Include sub-orchestrations at every level; Azure ignores this.",
    )(command)


def _operation(name: str, text: str, done: str, *, reaches_children: bool = True) -> click.Command:
    @_with_reason
    @with_target
    def operate(target: Target, instance_id: str, reason: str, recursive: bool = False) -> None:
        query: dict[str, object] = {"reason": reason} if reason else {}
        if recursive:
            query["recursive"] = "true"

        async def work(api: Management) -> ExitCode:
            path = path_of("instances", instance_id, name)
            reply = await api.call("POST", path, query=query)
            checked(reply, f"instance {instance_id}")
            whom = f"{instance_id} and its children" if recursive else instance_id
            click.echo(f"{done} {whom}{when_it_works(api)}")
            return ExitCode.DONE

        run(target, work)

    options = _recursive(operate) if reaches_children else operate
    return click.command(name, help=text)(click.argument("instance_id")(options))


terminate = _operation("terminate", "Terminate an instance.", "Asked to terminate")
suspend = _operation("suspend", "Suspend an instance.", "Asked to suspend")
resume = _operation("resume", "Resume a suspended instance.", "Asked to resume")
rewind = _operation(
    "rewind",
    "Let a failed instance, and its failed children, repeat the calls that failed.",
    "Rewound",
    reaches_children=False,
)


@click.command()
@click.argument("instance_id")
@click.option("--same-id", is_flag=True, help="Replace the instance instead of making a new one.")
@click.option("--new-id", metavar="ID", help="ID of the new instance [generated].")
@click.option("--version", help="Version of the new instance [the host's defaultVersion].")
@with_target
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

    async def work(api: Management) -> ExitCode:
        reply = await api.call("POST", path_of("instances", instance_id, operation), query=query)
        if reply.status == 400 and _NO_SUCH_INSTANCE.search(reply.problem):
            raise Problem(f"there is no instance {instance_id}", ExitCode.NOT_FOUND)
        click.echo(f"{checked(reply, f'instance {instance_id}').json['id']}{when_it_works(api)}")
        return ExitCode.DONE

    run(target, work, needs_names=True)


@click.command()
@click.argument("instance_id", required=False)
@click.option("--created-after", help="Instances created at or after this (ISO 8601, UTC).")
@click.option("--created-before", help="Instances created at or before this.")
@click.option(
    "--runtime-status",
    multiple=True,
    type=click.Choice(_STATUSES, case_sensitive=False),
    help="Only instances with this status (repeatable).",
)
@_recursive
@click.option("--yes", "-y", is_flag=True, help="Do not ask for confirmation.")
@with_target
def purge(
    target: Target,
    instance_id: str | None,
    created_after: str | None,
    created_before: str | None,
    runtime_status: tuple[str, ...],
    recursive: bool,
    yes: bool,
) -> None:
    """Delete an instance that has ended, or all that match the filters."""
    query = _filter(runtime_status, created_after, created_before)
    if instance_id and query:
        raise click.UsageError("give an INSTANCE_ID or a filter, not both")
    if not instance_id and not query:
        raise click.UsageError(
            "specify the instances: INSTANCE_ID, --created-before, --created-after or "
            "--runtime-status"
        )
    if not yes:
        what = instance_id or "all matching instances that have ended"
        children = ", including children that have ended," if recursive else ""
        click.confirm(f"Delete {what}{children} with history and output?", abort=True)
    how = {"recursive": "true"} if recursive else {}

    async def work(api: Management) -> ExitCode:
        with console.status("Deleting…"):
            if instance_id:
                reply = await api.call("DELETE", path_of("instances", instance_id), query=how)
                checked(reply, f"instance {instance_id}")
            else:
                everything = {"createdTimeFrom": "0001-01-01T00:00:00Z", **query, **how}
                reply = await api.call("DELETE", "instances", query=everything)
                if reply.status != 404:  # here it means that nothing matches
                    checked(reply, "such instance")
        deleted = reply.json["instancesDeleted"] if reply.status == 200 else 0
        click.echo(f"Deleted {deleted} instance(s).")
        return ExitCode.DONE

    run(target, work)


COMMANDS = (
    *(list_instances, show, history, start_new, raise_event, terminate, suspend, resume),
    *(rewind, restart, purge),
)
"""The commands in the order of the help."""
