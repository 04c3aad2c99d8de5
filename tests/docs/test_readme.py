"""The README's snippets, run as they stand there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from host_process import HostProcess

from azure.durable_functions.local.cli.main import main

pytest_plugins = ["pytester"]
ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "README.md").read_text()
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.M | re.S)


def test_the_smallest_app_shows_and_prints_what_the_readme_says(tmp_path: Path) -> None:
    [code] = [block for kind, block in BLOCKS if kind == "python"]
    [shown] = [block for kind, block in BLOCKS if kind == ""]
    [printed] = [block for kind, block in BLOCKS if kind == "json"]
    [command] = [b for kind, b in BLOCKS if kind == "sh" and b.startswith("durable start-new")]
    (tmp_path / "function_app.py").write_text(code)
    with HostProcess(tmp_path) as host:
        lines = "\n".join(host.lines).replace(host.url, "URL").splitlines()
        for line in shown.replace("http://localhost:7071", "URL").splitlines():
            assert line in lines
        arguments = [*shlex.split(command)[1:], "--script-root", str(tmp_path)]
        assert CliRunner().invoke(main, arguments).stdout == printed


def test_the_demo_kills_its_host_and_shows_the_workflow_finish() -> None:
    demo = [sys.executable, str(ROOT / "samples" / "demo.py")]
    ended = subprocess.run(demo, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert '["One","Two","Three"]' in ended.stdout.replace(" ", "").replace("'", '"')


def test_every_entry_of_make_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for name in re.findall(r"make (\w+)", TEXT):
        assert re.search(rf"^{name}:", makefile, re.M), name


def test_every_block_is_covered() -> None:
    commands = "".join(block for kind, block in BLOCKS if kind == "sh").splitlines()
    assert {line.partition("#")[0].strip() for line in commands} == {
        *("make demo", "make test", "pip install '.[local]'"),
        *("durable start .", "durable start-new greet_cities --wait 10"),
    }


PAGES = sorted((ROOT / "docs").glob("*.md"))
PYTHON = [
    (page.name, block)
    for page in PAGES
    for block in re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.M | re.S)
]


@pytest.mark.parametrize(("page", "block"), PYTHON, ids=[page for page, _ in PYTHON])
def test_python_in_the_docs_is_python(page: str, block: str) -> None:
    """Parts of an orchestrator are put into one; `write.md` is a whole app."""
    if "def " not in block:
        block = "def part(context):\n" + "".join(f"    {line}\n" for line in block.splitlines())
    compile(block, page, "exec")


def apps_with_tests() -> Iterator[tuple[str, str, str]]:
    """Pages whose blocks are whole apps, each followed by its tests: name, app, tests."""
    for page, first in PYTHON:
        if "= df.DFApp(" not in first or page == "write.md":
            continue
        blocks = [block for found, block in PYTHON if found == page]
        tests: list[str] = []
        for block in blocks[blocks.index(first) + 1 :]:
            if "= df.DFApp(" in block:
                break
            tests.append(block)
        yield page, first, "\n".join(tests)


APPS = list(apps_with_tests())


def test_every_page_on_authoring_is_an_app_with_tests() -> None:
    for name in ("async", "failures", "retry", "payloads", "limit", "logging", "test"):
        first = next(block for page, block in PYTHON if page == f"{name}.md")
        assert "= df.DFApp(" in first, name  # so that no block stands before the apps


@pytest.mark.parametrize(("page", "app", "tests"), APPS, ids=[page for page, _, _ in APPS])
def test_an_app_of_the_docs_passes_its_tests(
    page: str, app: str, tests: str, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(function_app=app, test_recipes=tests)
    pytester.makeini("[pytest]\ndurable_app = .\n")

    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:asyncio")

    written = len(re.findall(r"^(?:async )?def test_", tests, re.M))
    assert result.parseoutcomes()["passed"] >= written > 0  # some have parameters
    assert set(result.parseoutcomes()) <= {"passed", "warnings", "warning"}


def test_the_app_of_the_docs_loads() -> None:
    blocks = [block for page, block in PYTHON if page == "write.md"]
    asked = "\nprint(sorted(f.get_function_name() for f in app.get_functions()))\n"
    shown = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks) + asked],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT / "docs",
    ).stdout
    assert shown == "['greet', 'greet_cities', 'start']\n"
