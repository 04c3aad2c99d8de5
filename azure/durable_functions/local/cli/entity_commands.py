"""The sub-commands of ``durable`` for entities, and for running a function by hand."""

from __future__ import annotations

import json
from typing import Any

import click

from azure.durable_functions.local import failure_texts

from . import tables
from .exit_codes import ExitCode
from .management_client import Management
from .targets import (
    Target,
    checked,
    console,
    demand_function,
    path_of,
    read_pages,
    read_payload,
    read_text,
    run,
    show_value,
    when_it_works,
    with_json,
    with_target,
)


@click.command()
@click.argument("name", required=False)
@click.option("--top", type=click.IntRange(1), help="Maximum number of results.")
@with_json
@with_target
def entities(target: Target, name: str | None, top: int | None, as_json: bool) -> None:
    """List entities and their state, or only those of the entity function NAME."""

    async def work(api: Management) -> ExitCode:
        path = path_of("entities", *([name] if name else []))
        found = await read_pages(api, path, {"fetchState": "true"}, top)
        show_value(found, tables.entities, as_json=as_json)
        return ExitCode.DONE

    run(target, work)


@click.command()
@click.argument("name")
@click.argument("key")
@click.argument("operation")
@click.option("--input", "input_text", metavar="JSON", help="JSON text, @FILE, or - for stdin.")
@with_target
def signal(
    target: Target,
    name: str,
    key: str,
    operation: str,
    input_text: str | None,
) -> None:
    """Send OPERATION to the entity KEY of the entity function NAME."""
    body = read_payload(input_text, "--input")

    async def work(api: Management) -> ExitCode:
        await demand_function(api, "entity", name)
        reply = await api.call("POST", path_of("entities", name, key), body, {"op": operation})
        checked(reply, f"entity function {name}")
        click.echo(f"Signalled {name} {key}{when_it_works(api)}")
        return ExitCode.DONE

    run(target, work, needs_names=True)


@click.command()
@click.argument("name")
@click.option(
    "--input",
    "text",
    metavar="TEXT",
    default="",
    help="Trigger text, or JSON for activities; @FILE, or - for stdin.",
)
@with_json
@with_target
def invoke(target: Target, name: str, text: str, as_json: bool) -> None:
    """Run a function on a running host now, and print its result or failure."""
    text = read_text(text, "--input")

    async def work(api: Management) -> ExitCode:
        with console.status(f"Running {name}…"):
            reply = checked(await api.invoke(name, text), f"function {name}")
        if reply.status == 202:  # from Core Tools, which report nothing more
            click.echo(f"The host is running {name}; see its log for the result.")
            return ExitCode.DONE
        return _show_end(name, reply.json, as_json)

    run(target, work)


def _show_end(name: str, ended: dict[str, Any], as_json: bool) -> ExitCode:
    """Prints how a function ended and returns the exit code."""
    failure, response = ended.get("failure"), ended.get("response")
    is_bad = failure is not None or (response is not None and response["status"] >= 400)
    if as_json:
        click.echo(tables.as_json(ended))
    elif failure is not None:
        text = failure_texts.told(failure_texts.of_worker(failure))
        click.echo(f"{name} failed: {text}", err=True)
    elif response is not None:
        click.echo(f"{name} responded with status {response['status']}", err=True)
        click.echo(response["body"])
    elif "result" in ended:
        click.echo(json.dumps(ended["result"], ensure_ascii=False))
    else:
        click.echo(f"{name} completed.")
    return ExitCode.FAILED if is_bad else ExitCode.DONE


COMMANDS = (entities, signal, invoke)
"""The commands in the order of the help."""
