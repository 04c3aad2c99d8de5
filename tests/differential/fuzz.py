"""`make fuzz N=20000`: the differential test on many programs, with a progress bar and a report."""

from __future__ import annotations

import sys
import time

import comparison
from rich.progress import track


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    report = comparison.Report()
    began = time.monotonic()
    with comparison.OfficialPackage() as official:
        for seed in track(range(first, first + count), description="Comparing"):
            comparison.compare(official, seed, report)
    took = time.monotonic() - began
    print(
        f"{report.programs} programs, {report.episodes} episodes in {took:.0f} s: "
        f"{sum(report.explained.values())} differ by a numbered defect, "
        f"{len(report.divergences)} diverge"
    )
    for defects, number in report.explained.most_common(12):
        print(f"  {number:5} may have met {defects}")
    for divergence in report.divergences[:5]:
        print(f"\n{divergence}")
    return 1 if report.divergences else 0


if __name__ == "__main__":
    sys.exit(main())
