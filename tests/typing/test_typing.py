"""The built wheel, in an environment of its own, satisfies users' type checkers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CLIENT = HERE / "client.py"
WHEEL = ("pip", "wheel", "-qq", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the wheel's content; azure-functions comes from this interpreter."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", *WHEEL, "-w", str(folder), str(ROOT)],
        check=True,
        cwd=folder,
    )
    [wheel] = folder.glob("*.whl")
    site = folder / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


def check(installed: Path, *command: str) -> str:
    """Run a checker on a copy of the client where no checkout is near; what it prints."""
    copied = installed.parent / "client.py"
    copied.write_text(CLIENT.read_text())
    environment = {**os.environ, "MYPYPATH": str(installed), "PYTHONPATH": str(installed)}
    ended = subprocess.run(
        [sys.executable, "-m", *command, str(copied)],
        cwd=installed.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return f"{ended.returncode}\n{ended.stdout}{ended.stderr}"


def test_the_wheel_holds_our_package_only(installed: Path) -> None:
    """sdk.md Q1."""
    roots = {path.relative_to(installed).parts[0] for path in installed.rglob("*.py*")}
    folders = {path.name for path in (installed / "azure").iterdir()}

    assert roots == {"azure"}
    assert folders - {"__pycache__"} == {"durable_functions", "durable_functions_pytest.py"}
    assert (installed / "azure/durable_functions/py.typed").exists()
    assert not (installed / "azure/__init__.py").exists()


def test_only_three_libraries_are_required(installed: Path) -> None:
    """sdk.md Q6."""
    [metadata] = installed.glob("*.dist-info/METADATA")
    required = re.findall(r"^Requires-Dist: ([\w-]+)[^;\n]*$", metadata.read_text(), re.MULTILINE)

    assert sorted(required) == ["aiohttp", "azure-functions", "python-dateutil"]


def test_mypy_is_quiet_about_an_app(installed: Path) -> None:
    """sdk.md Q5."""
    # As for most users: without the libraries of agents, 2,000 modules that the app does not use.
    (installed.parent / "mypy.ini").write_text("[mypy]\n[mypy-agents.*]\nfollow_imports = skip\n")
    printed = check(
        installed, "mypy", "--strict", "--namespace-packages", "--explicit-package-bases"
    )

    assert printed.startswith("0\n"), printed


def test_pyright_is_quiet_about_an_app(installed: Path) -> None:
    """sdk.md Q5."""
    (installed.parent / "pyrightconfig.json").write_text(
        f'{{"typeCheckingMode": "strict", "extraPaths": ["{installed}"],'
        ' "reportUntypedFunctionDecorator": false,'
        ' "reportUnnecessaryTypeIgnoreComment": true, "enableTypeIgnoreComments": false}'
    )

    printed = check(installed, "basedpyright", "--pythonpath", sys.executable)

    assert printed.startswith("0\n"), printed
