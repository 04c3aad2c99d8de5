"""The plugin, in pytest runs of their own."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

APP = (Path(__file__).parent / "kit_app.py").read_text()

TESTS = """
import pytest

def test_sync(durable_host):
    assert durable_host.start("child", 3).result() == "charged 3"

async def test_async(durable_host):
    assert await (await durable_host.start("child", 3)).result() == "charged 3"
"""


def passed(pytester: pytest.Pytester, *arguments: str) -> int:
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)
    outcomes = result.parseoutcomes()
    assert set(outcomes) <= {"passed", "warnings", "warning"}, result.stdout.str()
    return outcomes["passed"]


@pytest.fixture
def folder(pytester: pytest.Pytester) -> Path:
    (pytester.path / "shop").mkdir()
    (pytester.path / "shop" / "function_app.py").write_text(APP)
    return pytester.path


def test_the_app_may_be_named_in_the_ini_file(pytester: pytest.Pytester, folder: Path) -> None:
    pytester.makeini("[pytest]\ndurable_app = shop\n")
    pytester.makepyfile(TESTS)

    assert passed(pytester, "-p", "no:asyncio", "-p", "no:anyio") == 2


def test_the_app_may_be_named_by_a_marker(pytester: pytest.Pytester, folder: Path) -> None:
    pytester.makepyfile(
        "import pytest\npytestmark = pytest.mark.durable_app('shop', auto_advance=False)\n" + TESTS
    )

    assert passed(pytester) == 2


def test_the_app_may_be_a_fixture(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(kit_app=APP)
    pytester.makeconftest(
        "import pytest, kit_app\n@pytest.fixture\ndef durable_app():\n    return kit_app.app\n"
    )
    pytester.makepyfile(TESTS)

    assert passed(pytester) == 2


@pytest.mark.parametrize(
    ("plugin", "options", "mark"),
    [
        ("pytest_asyncio", ["-o", "asyncio_mode=auto"], ""),
        ("pytest_asyncio", ["-o", "asyncio_mode=strict"], "pytestmark = pytest.mark.asyncio"),
        ("anyio", [], "pytestmark = pytest.mark.anyio"),
    ],
)
def test_it_works_with_plugins_for_async_tests(
    plugin: str, options: list[str], mark: str, pytester: pytest.Pytester, folder: Path
) -> None:
    if importlib.util.find_spec(plugin) is None:
        pytest.skip(f"{plugin} is not installed")
    pytester.makeini("[pytest]\ndurable_app = shop\n")
    pytester.makepyfile(
        f"import pytest\n{mark}\n"
        "@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n"
        "async def test_async(durable_host):\n"
        "    assert await (await durable_host.start('child', 3)).result() == 'charged 3'\n"
    )

    assert passed(pytester, *options) == 1


def test_a_failure_shows_the_timeline(pytester: pytest.Pytester, folder: Path) -> None:
    pytester.makeini("[pytest]\ndurable_app = shop\n")
    pytester.makepyfile(TESTS.replace("charged 3", "charged 4"))

    result = pytester.runpytest_subprocess("-p", "no:asyncio", "-p", "no:anyio")

    assert result.parseoutcomes()["failed"] == 2
    text = result.stdout.str()
    assert text.count("- Durable instances -") == 2
    assert text.count("Task scheduled 'charge' (0)") == 2


def test_without_an_app_the_error_says_how_to_name_one(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS)

    result = pytester.runpytest_subprocess()

    assert "@pytest.mark.durable_app(app)" in result.stdout.str()


def test_who_does_not_use_it_imports_nothing_of_ours(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "import json, sys\n"
        "def test_nothing():\n"
        "    ours = [name for name in sys.modules if name.startswith('azure')]\n"
        "    open('modules.json', 'w').write(json.dumps(sorted(ours)))\n"
    )

    assert passed(pytester) == 1
    modules = json.loads((pytester.path / "modules.json").read_text())
    assert set(modules) <= {"azure", "azure.durable_functions_pytest"}
