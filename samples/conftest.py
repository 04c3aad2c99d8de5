"""Runs a sample as its README says: ``durable start`` on a copy of its folder, then HTTP."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from host_process import HostProcess, copy_app


@pytest.fixture
def durable_app(request: pytest.FixtureRequest) -> Path:
    """The sample that the test stands beside, for tests with the test kit."""
    return request.path.parent


StartSample = Callable[..., HostProcess]


@pytest.fixture
def sample_folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of the sample that the test stands beside."""
    source = request.path.parent
    return copy_app(source, tmp_path / source.name)


@pytest.fixture
def start_sample(sample_folder: Path) -> Iterator[StartSample]:
    """Start that copy; SAMPLES_WORKER_PYTHON picks its interpreter."""
    running: list[HostProcess] = []

    def start(**settings: str) -> HostProcess:
        python = os.environ.get("SAMPLES_WORKER_PYTHON")
        arguments = ["--worker-python", python] if python else []
        host = HostProcess(sample_folder, *arguments, settings=settings)
        host.start()
        running.append(host)
        return host

    yield start

    for host in running:
        host.stop()
