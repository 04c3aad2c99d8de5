"""Strictness for our own tests only: other people's suites are run from this checkout too."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("error"), append=False)
            # azure-functions' codec gives two notices a process (sdk.md 4.4).
            item.add_marker(pytest.mark.filterwarnings("ignore:azure.functions:DeprecationWarning"))
            # What old releases of dateutil do when Python 3.12 and later import them.
            old_dateutil = "ignore:datetime.datetime.utcfromtimestamp:DeprecationWarning"
            item.add_marker(pytest.mark.filterwarnings(old_dateutil))
