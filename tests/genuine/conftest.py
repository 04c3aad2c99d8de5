"""These tests run where the genuine extension is: README.md says how it comes there."""

from __future__ import annotations

import os

import pytest
from stack import Programs

IS_WANTED = any(os.environ.get(name) for name in ("GENUINE_HOME", "GENUINE_HOST_DLL"))
collect_ignore_glob = [] if IS_WANTED else ["test_*.py"]


def pytest_collection(session: pytest.Session) -> None:
    """Whoever names the extension wants it to be tried: that it is not there is an error."""
    missing = Programs.found().missing() if IS_WANTED else []
    if missing:
        raise pytest.UsageError(
            f"the genuine extension cannot be run, there is no {', '.join(missing)}; "
            "tests/genuine/README.md says what must be there"
        )
