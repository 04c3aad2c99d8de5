"""The ``durable`` command. Source: host.md 11."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

import click

from azure.durable_functions._errors import DurableFunctionsError
from azure.durable_functions.local import console_log, host
from azure.durable_functions.local.config import host_json
from azure.durable_functions.local.engine.versions import OnNonDeterminism

_INSTANCE_COMMANDS = (
    *("list", "show", "history", "start-new", "raise-event", "terminate", "suspend", "resume"),
    *("rewind", "restart", "purge", "entities", "signal", "invoke"),
)


class _Commands(click.Group):
    """Imports the commands about instances, with their tables, only when one is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names, in the order of the help."""
        return ["start", *_INSTANCE_COMMANDS, "replay", "reset", "doctor", "bundle"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command by its name."""
        if cmd_name not in _INSTANCE_COMMANDS:
            return super().get_command(ctx, cmd_name)
        from azure.durable_functions.local.cli import instance_commands

        return instance_commands.COMMANDS[cmd_name]


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="azure-functions-durable", prog_name="durable")
def main() -> None:
    """Runs Durable Functions apps on this machine."""


@main.command()
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option("--script-root", type=click.Path(path_type=Path), help="The same as FOLDER.")
@click.option("--port", "-p", type=click.IntRange(0, 65535), help="Port to listen on [7071].")
@click.option("--address", help="Interface to listen on [127.0.0.1].")
@click.option("--workers", type=click.IntRange(1, 64), default=1, help="Worker processes [1].")
@click.option("--worker-python", metavar="PATH", help="Interpreter that runs the app.")
@click.option("--in-process", is_flag=True, help="Run the app in the host, for debuggers.")
@click.option(
    "--language-worker",
    metavar="ARGUMENTS",
    help='Arguments for that interpreter, for instance "-m debugpy --listen 5678".',
)
@click.option("--functions", metavar="NAMES", help="Load these functions only: 'A B'.")
@click.option(
    "--timeout",
    "-t",
    type=click.FloatRange(0, min_open=True),
    default=20.0,
    help="Seconds the app may take to load [20].",
)
@click.option(
    "--synchronous",
    type=click.Choice(["FULL", "NORMAL"]),
    default="FULL",
    help="FULL survives loss of power, NORMAL only the end of the process [FULL].",
)
@click.option(
    "--sessions",
    is_flag=True,
    envvar="AZURE_FUNCTIONS_DURABLE_SESSIONS",
    help="Keep orchestrations in the workers between episodes instead of replaying them.",
)
@click.option(
    "--on-non-determinism",
    type=click.Choice(["fail", "wait"]),
    help="What instances do whose history the code does not fit [fail].",
)
@click.option("--allowed-host", multiple=True, help="Further name that requests may use.")
@click.option("--cors", metavar="ORIGINS", help="Origins whose pages may send requests: A,B or *.")
@click.option("--cors-credentials", is_flag=True, help="Let those pages send cookies.")
@click.option("--enableAuth", "enable_auth", is_flag=True, help="Ask for the key here too.")
@click.option("--useHttps", "use_https", is_flag=True, help="Speak HTTPS; needs --cert.")
@click.option("--cert", type=click.Path(path_type=Path), help="PEM file: certificate and key.")
@click.option("--password", help="Of that file, or of a file that holds it.")
@click.option(
    "--retention",
    "retention_days",
    type=click.FloatRange(0, 36500, min_open=True),
    metavar="DAYS",
    help="Purge instances that ended longer ago.",
)
@click.option("--fresh", is_flag=True, help="Start with an empty store.")
@click.option("--strict", is_flag=True, help="Exit if a function does not load.")
@click.option("--no-watch", is_flag=True, help="Do not load the app anew when its files change.")
@click.option("--verbose", is_flag=True, help="Show all log lines of the host.")
@click.option(
    "--user-log-level",
    type=click.Choice(host_json.LEVEL_NAMES, case_sensitive=False),
    help="Least level of the app's own log lines that are shown [Information].",
)
@click.option("--enable-json-output", is_flag=True, help="Write log lines as JSON.")
@click.option(
    "--json-output-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the log to this file too, as JSON; it is put aside at 50 MiB, three are kept.",
)
@click.option(
    "--no-instance-ids", is_flag=True, help="Do not end log lines with the instance's id."
)
@click.option("--no-build", is_flag=True, hidden=True)  # of Core Tools; there is nothing to build
@click.option("--pause-on-error", is_flag=True, hidden=True)  # of Core Tools, for its own window
def start(
    folder: Path | None,
    script_root: Path | None,
    port: int | None,
    address: str | None,
    workers: int,
    worker_python: str | None,
    in_process: bool,
    language_worker: str | None,
    functions: str | None,
    timeout: float,
    synchronous: str,
    sessions: bool,
    on_non_determinism: OnNonDeterminism | None,
    allowed_host: tuple[str, ...],
    cors: str | None,
    cors_credentials: bool,
    enable_auth: bool,
    use_https: bool,
    cert: Path | None,
    password: str | None,
    retention_days: float | None,
    fresh: bool,
    strict: bool,
    no_watch: bool,
    verbose: bool,
    user_log_level: str | None,
    enable_json_output: bool,
    json_output_file: Path | None,
    no_instance_ids: bool,
    no_build: bool,
    pause_on_error: bool,
) -> None:
    """Run the app in FOLDER (default: here) until Ctrl-C."""
    if use_https and cert is None:
        raise click.UsageError(
            "--useHttps needs --cert FILE, a PEM file with certificate and key; a .pfx becomes one "
            "with: openssl pkcs12 -in FILE.pfx -out FILE.pem"
        )
    if language_worker and workers > 1:
        raise click.UsageError("--language-worker is for one worker; leave --workers out")
    if folder is not None and script_root is not None:
        raise click.UsageError("give the app's folder once: as FOLDER or with --script-root")
    options = host.Options(
        folder=(folder or script_root or Path()).absolute(),
        port=port,
        address=address,
        workers=workers,
        worker_python=None if worker_python is None else _program(worker_python),
        interpreter_arguments=language_worker,
        in_process=in_process,
        synchronous="NORMAL" if synchronous == "NORMAL" else "FULL",
        keeps_sessions=sessions,
        on_non_determinism=on_non_determinism,
        is_fresh=fresh,
        is_strict=strict,
        allowed_hosts=allowed_host,
        cors=cors,
        cors_credentials=cors_credentials,
        is_key_wanted=enable_auth,
        retention_days=retention_days,
        functions=tuple((functions or "").replace(",", " ").split()),
        timeout_seconds=timeout,
        watches=not no_watch,
        certificate=cert.absolute() if use_https and cert is not None else None,
        certificate_password=_password(password),
    )
    log_options = console_log.Options(
        is_verbose=verbose,
        user_level=None if user_log_level is None else host_json.level_of(user_log_level),
        as_json=enable_json_output,
        json_file=json_output_file,
        names_instances=not no_instance_ids,
    )
    status = 0
    try:
        console = console_log.Console(log_options)
        asyncio.run(_run(options, console))
    except DurableFunctionsError as error:
        click.echo(f"durable: {error}", err=True)
        status = 1
    if in_process:
        # Threads of user code that still run would keep the process from ending.
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def _program(given: str) -> str:
    """A program, named by its path from here or to be found on the PATH."""
    return os.path.abspath(given) if os.path.dirname(given) else given


def _password(given: str | None) -> str | None:
    """A password, or the content of the file that holds it, as Core Tools takes it."""
    return Path(given).read_text().strip() if given and Path(given).is_file() else given


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


@main.command()
@click.argument("folder", type=click.Path(path_type=Path), default=".")
@click.option("--worker-python", metavar="PATH", help="Interpreter that runs the app.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(folder: Path, worker_python: str | None, as_json: bool) -> None:
    """Look the app in FOLDER (default: here) over before it is published."""
    from azure.durable_functions.local.cli import doctor as doctors

    python = None if worker_python is None else _program(worker_python)
    try:
        found = asyncio.run(doctors.examine(folder, python))
    except DurableFunctionsError as error:
        click.echo(f"durable: {error}", err=True)
        sys.exit(1)
    if as_json:
        click.echo(doctors.as_json(found))
    else:
        for finding in found:
            colour = "red" if finding.severity == "error" else "yellow"
            click.echo(
                f"{click.style(finding.severity, fg=colour)}: {finding.where}: {finding.what}"
            )
            click.echo(f"    {finding.mend}")
        errors = sum(finding.severity == "error" for finding in found)
        click.echo(f"{errors} error(s), {len(found) - errors} warning(s)")
    sys.exit(4 if any(finding.severity == "error" for finding in found) else 0)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument(
    "recordings",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    nargs=-1,
    required=True,
)
def replay(folder: Path, recordings: tuple[Path, ...]) -> None:
    """Replay RECORDINGS (of 'durable history ID --export') with the code of the app in FOLDER.

    Ends with status 1 if one of them would run otherwise today.
    """
    from azure.durable_functions.testing._histories import replay_all

    try:
        bad = replay_all(folder, recordings, click.echo)
    except DurableFunctionsError as error:
        click.echo(f"durable: {error}", err=True)
        sys.exit(1)
    click.echo(f"{len(recordings) - bad} of {len(recordings)} replay as recorded")
    sys.exit(1 if bad else 0)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path), default=".")
def bundle(folder: Path) -> None:
    """Let the app in FOLDER (default: here) carry this package when it is published."""
    from azure.durable_functions.local.cli import bundle as bundles

    try:
        wheel, pin = bundles.write(folder)
    except DurableFunctionsError as error:
        click.echo(f"durable: {error}", err=True)
        sys.exit(1)
    click.echo(f"Wrote {wheel}; requirements.txt names it: {pin}")


async def _run(options: host.Options, console: console_log.Console) -> None:
    stop_requested = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if stop_requested.is_set():
            os._exit(130)  # the second Ctrl-C ends at once; the store survives that
        stop_requested.set()
        console.say("Stopping; running functions get a moment to finish.")

    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, on_signal)
        except NotImplementedError:  # Windows: Ctrl-C raises KeyboardInterrupt instead
            continue
    await host.run(options, console, stop_requested)
