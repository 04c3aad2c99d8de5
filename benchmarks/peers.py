"""Processes with one package each, so that two of the same name can be measured in one run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent
OURS = Path(sys.executable)
OFFICIAL = ROOT / ".venv-official" / "bin" / "python"
NODE_MODULES = ROOT / ".npm" / "node_modules"
NODE = Path(shutil.which("node") or "node")
PLACES = {OURS: ROOT / "azure", OFFICIAL: OFFICIAL.parent.parent, NODE: NODE_MODULES}
"""Where the package that an interpreter imports must lie."""


class Peer:
    """One package in one interpreter, which answers a line of JSON with one."""

    def __init__(self, interpreter: Path, program: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [str(interpreter), str(HERE / program), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=HERE,
            env=environment(),
        )
        where = Path(self._read()).resolve()
        assert PLACES[interpreter].resolve() in where.parents, where

    def ask(self, **question: Any) -> Any:
        """The answer to one question."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a peer has ended: {self._process.args}")
        return json.loads(line)


def environment() -> dict[str, str]:
    """Nothing of this checkout may be found in the place of another package; bytecode is kept."""
    left_out = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
    kept = {key: value for key, value in os.environ.items() if key not in left_out}
    return {
        **kept,
        "PYTHONPYCACHEPREFIX": str(ROOT / "build" / "bytecode"),
        "NODE_PATH": str(NODE_MODULES),
    }
