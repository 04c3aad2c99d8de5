"""Documentation in plain English: words of our former dialect do not come back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    ]
)
RETIRED = {
    "anew": "again",
    "goes on": "continues, resumes",
    "go on": "continue",
    "in the place of": "instead of",
    "so many": "at most N",
    "mended": "fixed",
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_retired_word_is_used(page: Path) -> None:
    text = page.read_text()
    found = {
        f"write {better!r} instead of {word!r}"
        for word, better in RETIRED.items()
        if re.search(rf"\b{word}\b", text, re.IGNORECASE)
    }

    assert found == set()
