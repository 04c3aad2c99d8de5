"""What the README promises; runs where TensorFlow is installed for the app's interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

PYTHON = os.environ.get("SAMPLES_WORKER_PYTHON", sys.executable)
IMAGES = [f"{kind}-{number}" for kind in ("horizontal", "vertical", "disc") for number in (1, 2)]


def has_tensorflow() -> bool:
    probe = "import importlib.util as u, sys; sys.exit(u.find_spec('tensorflow') is None)"
    return subprocess.run([PYTHON, "-c", probe]).returncode == 0


@pytest.mark.skipif(not has_tensorflow(), reason=f"TensorFlow is not installed for {PYTHON}")
def test_images_are_classified_side_by_side(start_sample, sample_folder: Path) -> None:  # type: ignore[no-untyped-def]
    subprocess.run([PYTHON, "train.py"], cwd=sample_folder, check=True)
    host = start_sample()

    started = host.call("POST", "/api/orchestrators/ClassifyAll", IMAGES).json["id"]

    finished = host.finished(started)
    assert finished["output"] == {image: image.partition("-")[0] for image in IMAGES}


def test_each_image_is_classified(request: pytest.FixtureRequest, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """Without TensorFlow: what it takes to load the model is not what is tested here."""
    classifier = SimpleNamespace(classify=lambda image: image.partition("-")[0])
    monkeypatch.setitem(sys.modules, "classifier", classifier)
    durable_host = request.getfixturevalue("durable_host")
    images = ["disc-1", "vertical-2"]

    assert durable_host.start("ClassifyAll", images).result() == {
        "disc-1": "disc",
        "vertical-2": "vertical",
    }
