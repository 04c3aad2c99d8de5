"""The ``durable`` command. Source: host.md 11."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from azure.durable_functions._errors import DurableFunctionsError
from azure.durable_functions.local import console_log, state_folder
from azure.durable_functions.local.config import host_json
from azure.durable_functions.local.options import HostOptions

from .exit_codes import ExitCode, errors_as_exit_codes, report

_INSTANCE_COMMANDS = (
    *("list", "show", "history", "start-new", "raise-event", "terminate", "suspend", "resume"),
    *("rewind", "restart", "purge", "entities", "signal", "invoke"),
)


class _Commands(click.Group):
    """Imports the commands about instances, and their tables, only when one of them is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the names in the order of the help."""
        return ["start", *_INSTANCE_COMMANDS, "replay", "reset", "doctor", "bundle"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Returns the command of that name."""
        if cmd_name not in _INSTANCE_COMMANDS:
            return super().get_command(ctx, cmd_name)
        from . import entity_commands, instance_commands

        commands = (*instance_commands.COMMANDS, *entity_commands.COMMANDS)
        return next(command for command in commands if command.name == cmd_name)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="azure-functions-durable", prog_name="durable")
def main() -> None:
    """Runs Durable Functions apps on this machine."""


def _with_log_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options about log lines; the command receives them as `console_log.LogOptions`."""

    @functools.wraps(command)
    def wrapped(
        verbose: bool,
        user_log_level: str | None,
        enable_json_output: bool,
        json_output_file: Path | None,
        no_instance_ids: bool,
        **given: Any,
    ) -> None:
        log_options = console_log.LogOptions(
            is_verbose=verbose,
            user_level=None if user_log_level is None else host_json.level_of(user_log_level),
            as_json=enable_json_output,
            json_file=json_output_file,
            names_instances=not no_instance_ids,
        )
        command(log_options=log_options, **given)

    extended: Callable[..., None] = wrapped
    for option in (
        click.option(
            "--no-instance-ids", is_flag=True, help="Leave the instance ID out of log lines."
        ),
        click.option(
            "--json-output-file",
            type=click.Path(path_type=Path, dir_okay=False),
            help="Also write the log to this file, as JSON; rotated at 50 MiB, three old files are "
            "kept.",
        ),
        click.option("--enable-json-output", is_flag=True, help="Write log lines as JSON."),
        click.option(
            "--user-log-level",
            type=click.Choice(host_json.LEVEL_NAMES, case_sensitive=False),
            help="Lowest level of the app's own log lines to show [Information].",
        ),
        click.option("--verbose", is_flag=True, help="Show all of the host's log lines."),
    ):
        extended = option(extended)
    return extended


def _program(context: click.Context, parameter: click.Parameter, given: str | None) -> str | None:
    """Returns the program as an absolute path, or as the name to look up on the PATH."""
    return os.path.abspath(given) if given and os.path.dirname(given) else given


def _password(context: click.Context, parameter: click.Parameter, given: str | None) -> str | None:
    """Returns the password, which may be in a file, as with Core Tools."""
    return Path(given).read_text().strip() if given and Path(given).is_file() else given


def _names(
    context: click.Context, parameter: click.Parameter, given: str | None
) -> tuple[str, ...]:
    """Splits names at blanks and commas."""
    return tuple((given or "").replace(",", " ").split())


@main.command()
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option("--script-root", type=click.Path(path_type=Path), help="The same as FOLDER.")
@click.option("--port", "-p", type=click.IntRange(0, 65535), help="Port to listen on [7071].")
@click.option("--address", help="Interface to listen on [127.0.0.1].")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=HostOptions.workers,
    help="Worker processes [1].",
)
@click.option(
    "--worker-python",
    metavar="PATH",
    callback=_program,
    help="Python interpreter that runs the app.",
)
@click.option("--in-process", is_flag=True, help="Run the app in the host, for debuggers.")
@click.option(
    "--language-worker",
    "interpreter_arguments",
    metavar="ARGUMENTS",
    help='Arguments for that interpreter, such as "-m debugpy --listen 5678".',
)
@click.option(
    "--functions",
    metavar="NAMES",
    callback=_names,
    help="Load only these functions: 'A B'.",
)
@click.option(
    "--timeout",
    "-t",
    "timeout_seconds",
    type=click.FloatRange(0, min_open=True),
    default=HostOptions.timeout_seconds,
    help="Seconds the app may take to load [20].",
)
@click.option(
    "--synchronous",
    type=click.Choice(["FULL", "NORMAL"]),
    default=HostOptions.synchronous,
    help="FULL survives a power failure, NORMAL only a crash of the process [FULL].",
)
@click.option(
    "--sessions",
    "keeps_sessions",
    is_flag=True,
    envvar="AZURE_FUNCTIONS_DURABLE_SESSIONS",
    help="Keep orchestrations in the workers between episodes instead of replaying them.",
)
@click.option(
    "--on-non-determinism",
    type=click.Choice(["fail", "wait"]),
    help="What an instance does when the code no longer matches its history [fail].",
)
@click.option(
    "--allowed-host",
    "allowed_hosts",
    multiple=True,
    help="Additional host name to accept (repeatable).",
)
@click.option("--cors", metavar="ORIGINS", help="Web origins that may send requests: A,B or *.")
@click.option("--cors-credentials", is_flag=True, help="Allow those origins to send cookies.")
@click.option(
    "--enableAuth",
    "is_key_wanted",
    is_flag=True,
    help="Require the access key on the loopback interface too.",
)
@click.option("--useHttps", "use_https", is_flag=True, help="Serve HTTPS; needs --cert.")
@click.option(
    "--cert", type=click.Path(path_type=Path), help="PEM file: certificate and private key."
)
@click.option(
    "--password",
    "certificate_password",
    callback=_password,
    help="Password of the --cert file, or a file that contains it.",
)
@click.option(
    "--retention",
    "retention_days",
    type=click.FloatRange(0, 36500, min_open=True),
    metavar="DAYS",
    help="Purge instances that ended more than this many days ago.",
)
@click.option("--fresh", "is_fresh", is_flag=True, help="Start with an empty store.")
@click.option("--strict", "is_strict", is_flag=True, help="Exit if a function does not load.")
@click.option("--no-watch", is_flag=True, help="Do not reload the app when its files change.")
@_with_log_options
# Accepted for compatibility with Core Tools: this host builds nothing and opens no window.
@click.option("--no-build", is_flag=True, hidden=True, expose_value=False)
@click.option("--pause-on-error", is_flag=True, hidden=True, expose_value=False)
def start(
    log_options: console_log.LogOptions,
    folder: Path | None,
    script_root: Path | None,
    interpreter_arguments: str | None,
    workers: int,
    use_https: bool,
    cert: Path | None,
    no_watch: bool,
    **others: Any,  # each has the name of the field of the host's options that it sets
) -> None:
    """Run the app in FOLDER (default: here) until Ctrl-C."""
    from . import running

    if use_https and cert is None:
        raise click.UsageError(
            "--useHttps needs --cert FILE, a PEM file with certificate and key; convert a .pfx "
            "with: openssl pkcs12 -in FILE.pfx -out FILE.pem"
        )
    if interpreter_arguments and workers > 1:
        raise click.UsageError("--language-worker works with one worker only; leave out --workers")
    if folder is not None and script_root is not None:
        raise click.UsageError("give the app's folder only once: as FOLDER or with --script-root")
    options = HostOptions(
        folder=(folder or script_root or Path()).absolute(),
        workers=workers,
        interpreter_arguments=interpreter_arguments,
        watches=not no_watch,
        certificate=cert.absolute() if use_https and cert is not None else None,
        **others,
    )
    status = ExitCode.DONE
    try:
        asyncio.run(running.run_until_signal(options, console_log.Console(log_options)))
    except DurableFunctionsError as error:
        status = report(error)
    if options.in_process:
        # Threads that still run user code would keep the process alive.
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path), default=".")
@click.option("--yes", "-y", is_flag=True, help="Do not ask for confirmation.")
def reset(folder: Path, yes: bool) -> None:
    """Delete all instances and entities of the app in FOLDER (default: here)."""
    if not yes:
        click.confirm(f"Delete all instances of the app in {folder.resolve()}?", abort=True)
    with errors_as_exit_codes():
        deleted = state_folder.reset(folder)
    click.echo("There was nothing to delete." if deleted is None else f"Deleted {deleted}.")


@main.command()
@click.argument("folder", type=click.Path(path_type=Path), default=".")
@click.option(
    "--worker-python",
    metavar="PATH",
    callback=_program,
    help="Python interpreter that runs the app.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(folder: Path, worker_python: str | None, as_json: bool) -> None:
    """Check the app in FOLDER (default: here) before it is published."""
    from . import doctor as doctors

    with errors_as_exit_codes():
        found = asyncio.run(doctors.examine(folder, worker_python))
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
    has_errors = any(finding.severity == "error" for finding in found)
    sys.exit(ExitCode.REFUSED if has_errors else ExitCode.DONE)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument(
    "recordings",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    nargs=-1,
    required=True,
)
def replay(folder: Path, recordings: tuple[Path, ...]) -> None:
    """Replay RECORDINGS (from 'durable history ID --export') with the code of the app in FOLDER.

    Exits with status 1 if any of them would take another course today.
    """
    from azure.durable_functions.testing._histories import replay_all

    with errors_as_exit_codes():
        bad = replay_all(folder, recordings, click.echo)
    click.echo(f"{len(recordings) - bad} of {len(recordings)} replay as recorded")
    sys.exit(ExitCode.CANNOT if bad else ExitCode.DONE)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path), default=".")
def bundle(folder: Path) -> None:
    """Vendor this package into the app in FOLDER (default: here), so that it can be published."""
    from . import bundle as bundles

    with errors_as_exit_codes():
        wheel, pin = bundles.write(folder)
    click.echo(f"Wrote {wheel}; requirements.txt now lists it: {pin}")
