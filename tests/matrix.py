"""The suite with the oldest and the newest libraries that we declare, on every Python found.

    python tests/matrix.py [PYTHON ...]

Without arguments it looks for python3.10 to python3.14 on the PATH. Type checkers, the docs and the
comparison with the official package are left to the development environment (``make check``).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
OLDEST = (
    *("azure-functions==1.21.3", "aiohttp==3.10.11", "python-dateutil==2.8.2"),
    *("openai==1.98.0", "openai-agents==0.2.4"),
)
NEWEST = ("azure-functions", "aiohttp", "python-dateutil")
TOOLS = ("pytest", "hypothesis", "furl", "build", "setuptools>=77")
LEFT_OUT = ("tests/typing", "tests/docs", "tests/differential")


def run(python: str, libraries: tuple[str, ...]) -> str:
    """The last line of the suite, or what went wrong before it."""
    with tempfile.TemporaryDirectory() as scratch:
        own = Path(scratch) / "bin" / "python"
        subprocess.run([python, "-m", "venv", scratch], check=True)
        install = [str(own), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        installed = subprocess.run(
            [*install, *libraries, *TOOLS, f"{ROOT}[local,openai]"], capture_output=True, text=True
        )
        if installed.returncode:
            return f"cannot be installed: {installed.stderr.strip().splitlines()[-1]}"
        skipped = [f"--ignore={path}" for path in LEFT_OUT]
        tested = subprocess.run(
            [str(own), "-m", "pytest", "-q", "-p", "no:cacheprovider", *skipped],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        failed = [
            line for line in tested.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))
        ]
        return "\n    ".join([tested.stdout.strip().splitlines()[-1], *failed])


def main() -> None:
    found = sys.argv[1:] or [
        path for minor in range(10, 15) if (path := shutil.which(f"python3.{minor}"))
    ]
    for python in found:
        for name, libraries in (("oldest", OLDEST), ("newest", NEWEST)):
            print(f"{python}, {name} libraries: {run(python, libraries)}", flush=True)


if __name__ == "__main__":
    main()
