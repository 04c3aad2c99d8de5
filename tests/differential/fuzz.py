"""`make fuzz N=20000`: the differential tests on many programs, with progress bars and a report."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import comparison
import paced_programs
from rich.progress import track


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    seeds = range(first, first + count)
    orchestrators = _fuzz("orchestrator programs", seeds, comparison.compare)
    entities = _fuzz("entity batches", seeds, comparison.compare_entity)
    paced = _pace(seeds)
    return 1 if orchestrators or entities or paced else 0


def _pace(seeds: range) -> int:
    """Run programs on the double of the extension; gives how many ended wrongly there."""
    warned, wrong = 0, []
    for seed in track(seeds, description="Pacing programs"):
        run = paced_programs.run(seed, newer=seed % 2 == 1)
        warned += run.unmatched > 0
        if run.wrong and not run.unmatched:
            wrong.append(f"seed {seed}: {run.wrong}")
    print(
        f"{len(seeds)} programs on the double of the extension: {len(wrong)} hang or end wrongly, "
        f"{warned} have no right form and are warned of"
    )
    print("\n".join(wrong[:5]))
    return len(wrong)


def _fuzz(what: str, seeds: range, one: Callable[..., None]) -> int:
    """Compare, and tell the result; gives the number of divergences."""
    report = comparison.Report()
    began = time.monotonic()
    with comparison.OfficialPackage() as official:
        for seed in track(seeds, description=f"Comparing {what}"):
            one(official, seed, report)
    took = time.monotonic() - began
    print(
        f"{report.programs} {what}, {report.episodes} triggers in {took:.0f} s: "
        f"{sum(report.explained.values())} differ by a numbered defect, "
        f"{len(report.divergences)} diverge"
    )
    for defects, number in report.explained.most_common(12):
        print(f"  {number:5} may have met {defects}")
    for divergence in report.divergences[:5]:
        print(f"\n{divergence}")
    return len(report.divergences)


if __name__ == "__main__":
    sys.exit(main())
