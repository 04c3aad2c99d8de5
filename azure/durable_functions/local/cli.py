"""The ``durable`` command. Source: host.md 11."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import click

from azure.durable_functions._errors import DurableFunctionsError
from azure.durable_functions.local import host, logs


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="azure-functions-durable", prog_name="durable")
def main() -> None:
    """Runs Durable Functions apps on this machine."""


@main.command()
@click.argument("folder", type=click.Path(path_type=Path), default=".")
@click.option("--port", "-p", type=click.IntRange(0, 65535), help="Port to listen on [7071].")
@click.option("--address", help="Interface to listen on [127.0.0.1].")
@click.option("--workers", type=click.IntRange(1, 64), default=1, help="Worker processes [1].")
@click.option("--worker-python", help="Interpreter that runs the app.")
@click.option("--in-process", is_flag=True, help="Run the app in the host, for debuggers.")
@click.option(
    "--synchronous",
    type=click.Choice(["FULL", "NORMAL"]),
    default="FULL",
    help="FULL survives loss of power, NORMAL only the end of the process [FULL].",
)
@click.option("--allowed-host", multiple=True, help="Further name that requests may use.")
@click.option("--cors", metavar="ORIGINS", help="Origins whose pages may send requests: A,B or *.")
@click.option("--cors-credentials", is_flag=True, help="Let those pages send cookies.")
@click.option("--enableAuth", "enable_auth", is_flag=True, help="Ask for the key here too.")
@click.option(
    "--retention",
    "retention_days",
    type=click.FloatRange(0, 36500, min_open=True),
    metavar="DAYS",
    help="Purge instances that ended longer ago.",
)
@click.option("--fresh", is_flag=True, help="Start with an empty store.")
@click.option("--strict", is_flag=True, help="Exit if a function does not load.")
@click.option("--verbose", is_flag=True, help="Show all log lines of the host.")
def start(
    folder: Path,
    port: int | None,
    address: str | None,
    workers: int,
    worker_python: str | None,
    in_process: bool,
    synchronous: str,
    allowed_host: tuple[str, ...],
    cors: str | None,
    cors_credentials: bool,
    enable_auth: bool,
    retention_days: float | None,
    fresh: bool,
    strict: bool,
    verbose: bool,
) -> None:
    """Run the app in FOLDER (default: here) until Ctrl-C."""
    logs.configure(is_verbose=verbose)
    options = host.Options(
        folder=folder,
        port=port,
        address=address,
        workers=workers,
        worker_python=worker_python,
        in_process=in_process,
        synchronous="NORMAL" if synchronous == "NORMAL" else "FULL",
        is_fresh=fresh,
        is_strict=strict,
        allowed_hosts=allowed_host,
        cors=cors,
        cors_credentials=cors_credentials,
        is_key_wanted=enable_auth,
        retention_days=retention_days,
    )
    status = 0
    try:
        asyncio.run(_run(options))
    except DurableFunctionsError as error:
        click.echo(f"durable: {error}", err=True)
        status = 1
    if in_process:
        # Threads of user code that still run would keep the process from ending.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path), default=".")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def reset(folder: Path, yes: bool) -> None:
    """Delete all instances and entities of the app in FOLDER (default: here)."""
    try:
        if not yes:
            click.confirm(f"Delete all instances of the app in {folder.resolve()}?", abort=True)
        deleted = host.reset(folder)
    except DurableFunctionsError as error:
        click.echo(f"durable: {error}", err=True)
        sys.exit(1)
    click.echo("There was nothing to delete." if deleted is None else f"Deleted {deleted}.")


async def _run(options: host.Options) -> None:
    stop_requested = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if stop_requested.is_set():
            os._exit(130)  # the second Ctrl-C ends at once; the store survives that
        stop_requested.set()
        click.echo("Stopping; running functions get a moment to finish.")

    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, on_signal)
        except NotImplementedError:  # Windows: Ctrl-C raises KeyboardInterrupt instead
            continue
    await host.run(options, stop_requested)
