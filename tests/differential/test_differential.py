"""Random programs on random legal histories: ours answers what the official package answers."""

from __future__ import annotations

import comparison
import pytest

SEEDS = range(300)


@pytest.mark.skipif(
    not comparison.OFFICIAL.exists(), reason="the official package is not installed: make official"
)
def test_both_packages_decide_the_same() -> None:
    report = comparison.Report()
    with comparison.OfficialPackage() as official:
        for seed in SEEDS:
            comparison.compare(official, seed, report)

    assert report.divergences == []
    assert report.programs == len(SEEDS)
    assert sum(report.explained.values()) < len(SEEDS) / 4
