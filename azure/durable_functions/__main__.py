"""``python -m azure.durable_functions`` is the ``durable`` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command; its libraries come with the extra ``[local]``."""
    try:
        from azure.durable_functions.local.cli.main import main as command
    except ModuleNotFoundError as error:
        if error.name not in ("click", "aiohttp", "rich"):
            raise
        print(
            f"durable: the local host needs {error.name!r}; install the extra: "
            "pip install 'azure-functions-durable[local]' from a wheel or a clone of this project",
            file=sys.stderr,
        )
        sys.exit(1)
    command(prog_name="durable")


if __name__ == "__main__":
    main()
