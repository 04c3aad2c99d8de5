"""Every citation of the specification names something that exists; no text for users cites it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "docs" / "spec"
CITED = re.compile(
    r"\b(sdk|protocol|http-api|host|entities|openai-agents|grpc-engine|extension|extension-engine)"
    r"\.md,?\s+((?:and |or )?(?:\d+(?:\.\d+)*|[QDXY]\d+)(?:(?:, | and |-|–|/| or )"
    r"(?:\d+(?:\.\d+)*|[QDXY]\d+))*)"
)
NUMBER = re.compile(r"\d+(?:\.\d+)*|[QDXY]\d+")
BARE = re.compile(r"(?<![\w.])([XY]\d{1,3})(?![\w.]*\d)")


def sources() -> Iterator[Path]:
    for folder in ("azure", "tests", "samples", "benchmarks"):
        yield from sorted((ROOT / folder).rglob("*.py"))
    yield from sorted((ROOT / "docs").glob("*.md"))
    yield from (ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"))


def numbers_of(page: Path) -> set[str]:
    """Numbers of a page's sections and statements."""
    text = page.read_text()
    found = set(re.findall(r"^#+ (\d+(?:\.\d+)*)\b", text, re.MULTILINE))
    found |= set(re.findall(r"^(?:- |\| )?\**([QDXY]\d+)\b", text, re.MULTILINE))
    if page.name == "host.md":  # its conformance statements
        found |= set(re.findall(r"^(\d{1,3})\. ", text, re.MULTILINE))
    return found


KNOWN = {page.name: numbers_of(page) for page in SPEC.glob("*.md")}


def test_every_section_and_statement_that_is_cited_exists() -> None:
    wrong = {
        f"{path.relative_to(ROOT)} cites {page}.md {number}"
        for path in sources()
        for page, numbers in CITED.findall(path.read_text())
        for number in NUMBER.findall(numbers)
        if number not in KNOWN[f"{page}.md"]
    }

    assert wrong == set()


def test_statements_about_the_extension_that_are_cited_by_number_alone_exist() -> None:
    statements = KNOWN["extension.md"] | KNOWN["extension-engine.md"]
    wrong = {
        f"{path.relative_to(ROOT)} cites {number}"
        for path in sources()
        if path.suffix == ".py" and path.is_relative_to(ROOT / "azure")
        for number in BARE.findall(path.read_text())
        if number not in statements
    }

    assert wrong == set()


def texts_for_users(tree: ast.Module) -> Iterator[str]:
    """Texts that are raised, logged or printed."""
    for node in ast.walk(tree):
        told: list[ast.AST] = []
        if isinstance(node, ast.Raise) and node.exc is not None:
            told.append(node.exc)
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in ("debug", "info", "warning", "error", "exception", "warn", "say", "echo"):
                told += node.args
        for part in told:
            for inner in ast.walk(part):
                if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                    yield inner.value


def test_no_error_or_log_line_cites_the_specification() -> None:
    wrong = {
        f"{path.relative_to(ROOT)}: {text}"
        for path in sources()
        if path.is_relative_to(ROOT / "azure")
        for text in texts_for_users(ast.parse(path.read_text()))
        if CITED.search(text) or re.search(r"\bspec(ification)?\.?md\b", text)
    }

    assert wrong == set()
