"""Everything that the genuine extension can show, two parts at a time (``make genuine``).

GENUINE is a folder with a script `install` that prints where it has put the programs; or the
programs are there already, and named as README.md says. Where neither is so, one line tells it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from guard import Guarded

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
PYTEST = ["-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider"]
PYTEST += ["-o", "faulthandler_timeout=400"]
_LONGEST_SECONDS = 900.0


@dataclass(frozen=True)
class Part:
    """One run of Python, and what it shows."""

    title: str
    arguments: tuple[str, ...]


class Runs:
    """Runs parts; all that they have started ends with them."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = environment
        self._running: dict[str, Guarded] = {}
        self._is_stopped = False

    def run(self, part: Part) -> bool:
        """Say how it has ended: in one line, or with all of its output if it has failed."""
        if self._is_stopped:
            return False
        print(f"  {part.title} ...", flush=True)
        began = time.monotonic()
        log = self._folder / f"{part.title}.log"
        command = [sys.executable, *part.arguments]
        process = Guarded(part.title, command, log, self._environment)
        self._running[part.title] = process
        status = process.wait(_LONGEST_SECONDS)
        process.kill()
        if self._is_stopped:
            return False
        output = log.read_text(errors="replace").strip()
        if status != 0:
            ended = "It has taken too long" if status is None else "It has failed"
            print(f"{part.title}:\n{output}\n{ended}: {part.title}", flush=True)
            return False
        last = output.splitlines()[-1].strip("= ")
        print(f"  {part.title}: {last} ({time.monotonic() - began:.0f} s)", flush=True)
        return True

    def stop(self) -> None:
        """End what runs, and begin nothing any more."""
        self._is_stopped = True
        for process in list(self._running.values()):
            process.kill()


def parts(genuine: Path) -> list[Part]:
    """In the order of their beginning: what takes longest first."""
    on_the_extension = (*PYTEST, "-p", "on_the_extension")
    found = [
        Part("The host is killed in mid-flight", (*PYTEST, f"{HERE}/test_kills.py")),
        Part("The samples", (*on_the_extension, f"{PROJECT}/samples")),
        Part("Random programs", (*PYTEST, f"{HERE}/test_random_programs.py")),
        Part("Programs with races", (*PYTEST, f"{HERE}/test_racing_programs.py")),
        Part("Conformance", (*on_the_extension, f"{PROJECT}/tests/local/test_conformance.py")),
        Part("Failures keep their reasons", (*PYTEST, f"{HERE}/test_failures.py")),
    ]
    others = genuine / "run_ours.py"
    if others.is_file():
        found.append(Part("What the official package lacks", (str(others), str(PROJECT))))
    return found


def programs(genuine: Path) -> Mapping[str, str] | None:
    """Environment variables that name the programs; None if there are none, which is told."""
    if os.environ.get("GENUINE_HOME") or os.environ.get("GENUINE_HOST_DLL"):
        return {}
    install = genuine / "install"
    if not install.is_file():
        print("The genuine extension is not here and not tried (tests/genuine/README.md).")
        return None
    if shutil.which("node") is None or shutil.which("npm") is None:
        print("The genuine extension is not tried: Azurite needs Node.js, which is not here.")
        return None
    print("Installing the genuine extension.", flush=True)
    installed = subprocess.run([install], check=True, stdout=subprocess.PIPE, text=True)
    return {"GENUINE_HOME": installed.stdout.splitlines()[-1]}


def run_all(parts: list[Part], environment: Mapping[str, str]) -> int:
    """Two at a time; gives how many have failed."""
    with tempfile.TemporaryDirectory(prefix="genuine-") as folder, ThreadPoolExecutor(2) as two:
        runs = Runs(Path(folder), {**environment, "TMPDIR": folder})
        ended = [two.submit(runs.run, part) for part in parts]
        try:
            return sum(not future.result() for future in ended)
        except BaseException:  # Ctrl-C, above all
            runs.stop()
            raise


def main() -> int:
    """Run all parts; the exit status is 1 if one has failed."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    genuine = Path(os.environ.get("GENUINE") or HERE / "nowhere").resolve()
    found = programs(genuine)
    if found is None:
        return 0
    print("The genuine extension runs our SDK:", flush=True)
    paths = os.pathsep.join([str(HERE), str(PROJECT / "tests" / "local")])
    chosen = parts(genuine)
    try:
        failed = run_all(chosen, {**os.environ, **found, "PYTHONPATH": paths})
    except KeyboardInterrupt:
        print("Stopped.")
        return 130
    print(f"On the genuine extension: {len(chosen) - failed} parts passed, {failed} failed.")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
