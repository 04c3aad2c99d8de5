"""Random programs on random legal histories: ours answers what the official package answers."""

from __future__ import annotations

from collections.abc import Callable

import comparison
import pytest

SEEDS = range(300)
COMPAT_SEEDS = range(1000, 1150)

needs_official = pytest.mark.skipif(
    not comparison.OFFICIAL.exists(), reason="the official package is not installed: make official"
)


def _compare(seeds: range, one: Callable[..., None] = comparison.compare) -> comparison.Report:
    report = comparison.Report()
    with comparison.OfficialPackage() as official:
        for seed in seeds:
            one(official, seed, report)
    assert report.programs == len(seeds)
    return report


@needs_official
def test_both_packages_decide_the_same() -> None:
    report = _compare(SEEDS)

    assert report.divergences == []
    assert sum(report.explained.values()) < len(SEEDS) / 3


@needs_official
def test_with_the_defects_brought_back_less_needs_explaining(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AZURE_FUNCTIONS_DURABLE_COMPAT", "1.7.0")
    report = _compare(COMPAT_SEEDS)

    assert report.divergences == []
    assert sum(report.explained.values()) < len(COMPAT_SEEDS) / 10


@needs_official
def test_both_packages_answer_the_same_to_entity_batches() -> None:
    report = _compare(SEEDS, comparison.compare_entity)

    assert report.divergences == []
    assert sum(report.explained.values()) < len(SEEDS) / 3
