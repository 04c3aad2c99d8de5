"""A pytest plugin: tests that start an app with ``durable start`` start it on the extension.

``pytest -p on_the_extension tests/local/test_conformance.py samples``, with this folder and
tests/local in PYTHONPATH. What says nothing about the extension is deselected.
"""

from __future__ import annotations

import re

import host_process
import pytest
import stack

LEFT_OUT = {
    "95": "createdTime has whole seconds, and short timers fire at once: it may be the same",
    "103 104 105": "what comes back after minutes is test_kills.py's",
    "106": "the place in the code is told by the local host",
    "116": "the key is checked by the Functions host",
    "117": "the admin API is the Functions host's",
    "118": "the admin API is the Functions host's",
    "119": "an app is loaded anew by the local host",
    "120": "pages of other origins are answered by the Functions host",
}
"""Conformance statements that the extension has no part in, by number."""
SAMPLES_LEFT_OUT = {
    "fan_out_fan_in_tensorflow": "TensorFlow would have to be installed, and a model trained",
    "fan_out_fan_in_tensorflow_v2": "TensorFlow would have to be installed, and a model trained",
}
"""By folder."""

host_process.HostProcess = stack.ExtensionProcess  # type: ignore[misc]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep what says something about the extension."""
    left_out = [item for item in items if not _says_something(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def _says_something(item: pytest.Item) -> bool:
    if item.path.parent.parent.name == "samples":
        starts_a_host = {"start_sample", "person"} & set(getattr(item, "fixturenames", ()))
        return bool(starts_a_host) and item.path.parent.name not in SAMPLES_LEFT_OUT
    numbers = _statement(item.name)
    is_ours = item.get_closest_marker("ours") is not None
    return numbers is not None and numbers not in LEFT_OUT and not is_ours


def _statement(name: str) -> str | None:
    """``12 13`` of ``test_statement[12 13: ids ...]`` and of ``test_statements_12_13_ids``."""
    found = re.match(r"test_statement\[([\d ]+):|test_statements?_(\d+(?:_\d+)*)_", name)
    return None if found is None else (found[1] or found[2].replace("_", " "))
