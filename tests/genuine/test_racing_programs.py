"""Programs in which things race end on the extension if they end on our host, and as well."""

from __future__ import annotations

import program_runs
import pytest
from host_process import HostProcess
from program_runs import Ends
from stack import ExtensionProcess

SEEDS = program_runs.seeds(100, with_races=True)


@pytest.fixture(scope="module")
def on_our_host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ends:
    with HostProcess(program_runs.app_in(tmp_path_factory.mktemp("ours"))) as host:
        return program_runs.ends(host, program_runs.chosen(request, TEST))


@pytest.fixture(scope="module")
def on_the_extension(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Ends:
    with ExtensionProcess(program_runs.app_in(tmp_path_factory.mktemp("extension"))) as host:
        return program_runs.ends(host, program_runs.chosen(request, TEST))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_program_with_races_ends_on_the_extension_as_on_our_host(
    seed: int, on_our_host: Ends, on_the_extension: Ends
) -> None:
    ours, theirs = on_our_host[seed], on_the_extension[seed]
    told = f"{theirs['output']!r} for {ours['output']!r}: {program_runs.program_of(seed)}"
    assert theirs["runtimeStatus"] == ours["runtimeStatus"], told


TEST = test_a_program_with_races_ends_on_the_extension_as_on_our_host.__name__
