"""Programs in which no two things race end alike, whoever drives them."""

from __future__ import annotations

from pathlib import Path

import comparison
import program_runs
import pytest
from host_process import HostProcess
from program_runs import Ends
from stack import ExtensionProcess

SEEDS = program_runs.seeds(150, with_races=False)
OFFICIAL_SEEDS = [seed for seed in SEEDS if not program_runs.program_of(seed)["defects"]]
"""Without those that meet defects of release 1.7.0."""


@pytest.fixture(scope="module")
def on_our_host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ends:
    chosen = {*program_runs.chosen(request, OURS), *program_runs.chosen(request, OFFICIAL)}
    with HostProcess(program_runs.app_in(tmp_path_factory.mktemp("ours"))) as host:
        return program_runs.ends(host, sorted(chosen))


@pytest.fixture(scope="module")
def on_the_extension(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Ends:
    with ExtensionProcess(program_runs.app_in(tmp_path_factory.mktemp("extension"))) as host:
        return program_runs.ends(host, program_runs.chosen(request, OURS))


@pytest.fixture(scope="module")
def with_the_official_package(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Ends:
    app = program_runs.app_in(tmp_path_factory.mktemp("official"))
    with ExtensionProcess(app, "--worker-python", str(comparison.OFFICIAL)) as host:
        return program_runs.ends(host, program_runs.chosen(request, OFFICIAL))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_program_ends_on_the_extension_as_on_our_host(
    seed: int, on_our_host: Ends, on_the_extension: Ends
) -> None:
    ours, theirs = on_our_host[seed], on_the_extension[seed]
    assert program_runs.told(theirs) == program_runs.told(ours), program_runs.program_of(seed)


@pytest.mark.parametrize("seed", OFFICIAL_SEEDS)
def test_a_random_program_of_the_official_package_ends_there_as_ours_does(
    seed: int, on_our_host: Ends, with_the_official_package: Ends
) -> None:
    ours, theirs = on_our_host[seed], with_the_official_package[seed]
    assert program_runs.told(theirs) == program_runs.told(ours), program_runs.program_of(seed)


OURS = test_a_random_program_ends_on_the_extension_as_on_our_host.__name__
OFFICIAL = test_a_random_program_of_the_official_package_ends_there_as_ours_does.__name__


def test_the_official_package_runs_what_is_said_to_be_its_own(tmp_path: Path) -> None:
    """Else the worker might have found ours, and the comparison would say nothing."""
    app = program_runs.app_in(tmp_path)
    code = (app / "function_app.py").read_text()
    asked = "return [name, given]"
    assert asked in code
    (app / "function_app.py").write_text(code.replace(asked, "return df.__file__"))
    with ExtensionProcess(app, "--worker-python", str(comparison.OFFICIAL)) as host:
        program = {"statements": [["wait", ["activity", "A", 1]]], "events": [], "defects": []}
        ended = host.run("Program", {"program": program, "given": 0})
    assert str(comparison.OFFICIAL.parents[1]) in ended["output"][0]
