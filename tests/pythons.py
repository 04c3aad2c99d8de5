"""Starts the local host and runs a chain on every Python that this machine has.

    python tests/pythons.py [PYTHON ...]

Without arguments it looks for python3.10 to python3.14 on the PATH and among those of pyenv. Each
gets an environment of its own, ``.venv-3.12`` for instance, which is kept.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parent.parent
MINORS = range(10, 15)


def found() -> dict[str, str]:
    """By version the interpreter."""
    interpreters: dict[str, str] = {}
    for minor in MINORS:
        for candidate in _candidates(f"3.{minor}"):
            told = _run(candidate, "-c", "import sys; print(*sys.version_info[:2], sep='.')")
            if told.returncode == 0 and told.stdout.strip() == f"3.{minor}":
                interpreters[f"3.{minor}"] = candidate
                break
    return interpreters


def _candidates(version: str) -> Iterator[str]:
    on_path = shutil.which(f"python{version}")
    if on_path is not None:
        yield on_path
    of_pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    yield from map(str, sorted(of_pyenv.glob(f"{version}.*/bin/python"), reverse=True))


def prepare(version: str, interpreter: str) -> str | None:
    """Make the environment, unless it is there; gives what went wrong."""
    folder = ROOT / f".venv-{version}"
    wanted = (ROOT / "pyproject.toml").stat().st_mtime
    ready = folder / "ready"
    if not ready.exists() or ready.stat().st_mtime < wanted:
        made = _run(interpreter, "-m", "venv", str(folder))
        if made.returncode == 0:
            install = ["-m", "pip", "install", "-qq", "--disable-pip-version-check"]
            mode = ["--config-settings", "editable_mode=compat"]
            python = str(folder / "bin" / "python")
            made = _run(python, *install, "--editable", f"{ROOT}[local]", *mode)
        if made.returncode:
            return f"no environment could be made: {made.stderr.strip()[-500:]}"
        ready.touch()
    return None


def check(version: str) -> str | None:
    """Run the demo, which kills the host in the middle of a chain; gives what went wrong."""
    python = ROOT / f".venv-{version}" / "bin" / "python"
    version_told = _run(str(python), "-m", "azure.durable_functions", "--version")
    if version_told.returncode:
        return f"`durable --version` fails: {version_told.stderr.strip()[-1000:]}"
    shown = _run(str(python), str(ROOT / "samples" / "demo.py"))
    return None if shown.returncode == 0 else f"the demo fails:\n{shown.stdout[-3000:]}"


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT)


def main() -> int:
    interpreters = {f"3.{n}-given": p for n, p in enumerate(sys.argv[1:])} or found()
    if not interpreters:
        print("No Python from 3.10 on was found.")
        return 1
    problems = {v: prepare(v, interpreter) for v, interpreter in interpreters.items()}
    with ThreadPoolExecutor(2) as threads:
        able = [version for version, problem in problems.items() if problem is None]
        problems.update(zip(able, threads.map(check, able), strict=True))
    for version, problem in problems.items():
        print(f"Python {version}: {problem or 'the host starts, and a chain survives its death'}")
    missing = [f"3.{minor}" for minor in MINORS if f"3.{minor}" not in interpreters]
    if missing and not sys.argv[1:]:
        print(f"Not on this machine: {', '.join(missing)}")
    return 1 if any(problems.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
