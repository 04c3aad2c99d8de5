"""Wheel and source archive: the same bytes each time, whole, with complete metadata."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Path]]:
    """Two builds of one checkout, from different folders."""
    found: list[dict[str, Path]] = []
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "azure", "*.toml", "setup.py", "README.md", "LICENSE", "NOTICE"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in ("first", "second"):
        source = tmp_path_factory.mktemp(name)
        for path in filter(None, tracked.split("\0")):
            if (ROOT / path).is_file():
                (source / path).parent.mkdir(parents=True, exist_ok=True)
                (source / path).write_bytes((ROOT / path).read_bytes())
        subprocess.run(
            [sys.executable, "-m", "build", "--no-isolation", "--outdir", source / "dist", source],
            env={**os.environ, "SOURCE_DATE_EPOCH": "1750000000"},
            check=True,
            capture_output=True,
        )
        found.append({path.suffix: path for path in (source / "dist").iterdir()})
    return found


def test_two_builds_are_equal_to_the_byte(builds: list[dict[str, Path]]) -> None:
    first, second = builds
    for suffix in (".whl", ".gz"):
        assert first[suffix].name == second[suffix].name
        assert first[suffix].read_bytes() == second[suffix].read_bytes()


def test_the_wheel_holds_the_package_and_nothing_else(builds: list[dict[str, Path]]) -> None:
    with zipfile.ZipFile(builds[0][".whl"]) as wheel:
        names = wheel.namelist()
        [metadata] = [name for name in names if name.endswith("/METADATA")]
        described = Parser().parsestr(wheel.read(metadata).decode())
        [scripts] = [name for name in names if name.endswith("/entry_points.txt")]
        assert "durable = " in wheel.read(scripts).decode()
    assert "azure/durable_functions/py.typed" in names
    assert "azure/durable_functions/models/Task.py" in names
    assert "azure/__init__.py" not in names  # the namespace is shared
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"azure", metadata.partition("/")[0]}
    assert described["Requires-Python"] == ">=3.10"
    assert set(described.get_all("Provides-Extra", [])) == {"local", "openai", "all"}
    required = [each for each in described.get_all("Requires-Dist", []) if "extra ==" not in each]
    assert {each.partition(">")[0] for each in required} == {
        *("azure-functions", "aiohttp", "python-dateutil"),
    }
    assert "independent" in described["Summary"]
    assert described["License-Expression"] == "MIT"


def test_the_source_archive_can_be_built_from(builds: list[dict[str, Path]]) -> None:
    with tarfile.open(builds[0][".gz"]) as archive:
        inner = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "setup.py", "README.md", "LICENSE", "NOTICE"} <= inner
    assert "azure/durable_functions/models/Task.py" in inner
