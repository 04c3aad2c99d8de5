"""The pytest plugin: fixtures for whole apps. Costs nothing where nobody uses them.

Nothing of the package is imported before a fixture is asked for.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from azure.durable_functions.testing import DurableTestHost

_HOST = "durable_host"
_TIMELINES = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The ini option."""
    parser.addini(
        "durable_app", "App folder or module of the fixture durable_host, from the root folder."
    )


def pytest_configure(config: pytest.Config) -> None:
    """The marker."""
    config.addinivalue_line(
        "markers",
        "durable_app(app, **options): app of the fixture durable_host, and options of "
        "DurableTestHost such as strict_replay=True",
    )


@pytest.fixture
def durable_app(request: pytest.FixtureRequest) -> Any:
    """The app under test: of the marker ``durable_app``, else of the ini option. May be overridden.

    A relative folder counts from the root folder of the tests.
    """
    marker = request.node.get_closest_marker("durable_app")
    app = marker.args[0] if marker is not None and marker.args else None
    if app is None:
        app = request.config.getini("durable_app")
    if not app:
        raise pytest.UsageError(
            "durable_host needs an app: mark the test with @pytest.mark.durable_app(app), set "
            "durable_app in the ini file, or write a fixture durable_app"
        )
    folder = request.config.rootpath / app if isinstance(app, str) else None
    return folder if folder is not None and folder.is_dir() else app


@pytest.fixture
def durable_host(request: pytest.FixtureRequest, durable_app: Any) -> Generator[Any, None, None]:
    """A `DurableTestHost` with the app: in an async test the host itself, else its sync form."""
    from azure.durable_functions.testing import DurableTestHost

    marker = request.node.get_closest_marker("durable_app")
    options: dict[str, Any] = {} if marker is None else dict(marker.kwargs)
    host = DurableTestHost(durable_app, **options)
    if _is_async(request.node):
        yield host  # entered in the loop of the test: see `pytest_runtest_call`
        return
    with host as entered:
        yield entered


def _is_async(item: Any) -> bool:
    return inspect.iscoroutinefunction(inspect.unwrap(item.obj))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """An async test has its host entered and left within its own event loop, whoever runs it."""
    host = getattr(item, "funcargs", {}).get(_HOST)
    if host is None or not _is_async(item):
        return
    test: Any = item.obj  # type: ignore[attr-defined]  # of a function

    @functools.wraps(test)  # pyright: ignore[reportUnknownArgumentType]  # any function
    async def with_host(*args: Any, **kwargs: Any) -> None:
        async with host:
            try:
                await test(*args, **kwargs)
            except BaseException:
                item.stash[_TIMELINES] = _timelines(host)
                raise

    item.obj = with_host  # type: ignore[attr-defined]


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs an async test that uses the host and that no other plugin has taken."""
    if _HOST not in pyfuncitem.funcargs or not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that fails shows what its instances have done."""
    report = yield
    if report.failed and report.when == "call":
        host = getattr(item, "funcargs", {}).get(_HOST)
        text = item.stash.get(_TIMELINES, "")
        if not text and host is not None and not _is_async(item):
            text = _timelines(host._host)
        if text:
            report.sections.append(("Durable instances", text))
    return report


def _timelines(host: DurableTestHost) -> str:
    return "\n".join(f"{each.id}: {each.status}\n{each.timeline}\n" for each in host.instances)
