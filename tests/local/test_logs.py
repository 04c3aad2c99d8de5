"""What the host writes, and when."""

from __future__ import annotations

import asyncio
import io
import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from azure.durable_functions.local import logs

LOG = logging.getLogger("Function.work")


class Output(io.StringIO):
    """Counts what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        self.writes.append(text)
        return super().write(text)


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Output:
    made = Output()
    monkeypatch.setattr(sys, "stdout", made)
    return made


@pytest.fixture
def console(output: Output) -> Iterator[logs.Console]:
    names = ("azure.durable_functions.local", "Function", "asyncio", "aiohttp")
    sources = [logging.getLogger(name) for name in names]
    before = [(log, log.handlers[:], log.propagate, log.level) for log in sources]
    yield logs.Console(logs.Options())
    for log, handlers, propagates, level in before:
        log.handlers[:], log.propagate = handlers, propagates
        log.setLevel(level)


def texts(written: str) -> list[str]:
    """The lines without their times."""
    return [line.partition("] ")[2] or line for line in written.splitlines()]


def test_one_turn_of_the_loop_is_written_at_once(console: logs.Console, output: Output) -> None:
    async def scenario() -> None:
        console.gather()
        LOG.info("one")
        LOG.info("two")
        assert output.writes == []
        await asyncio.sleep(0)
        assert [texts(written) for written in output.writes] == [["one", "two"]]

    asyncio.run(scenario())


def test_other_threads_and_the_start_write_at_once(console: logs.Console, output: Output) -> None:
    async def scenario() -> None:
        console.gather()
        LOG.info("one")
        thread = threading.Thread(target=LOG.info, args=("two",))
        thread.start()
        thread.join()
        assert texts(output.getvalue()) == ["one", "two"]
        LOG.info("three")
        console.say("four")
        assert texts(output.getvalue()) == ["one", "two", "three", "four"]

    LOG.info("zero")
    assert texts(output.getvalue()) == ["zero"]
    output.truncate(0)
    output.seek(0)
    asyncio.run(scenario())


def test_an_output_that_is_gone_does_not_end_the_host(
    console: logs.Console, output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)  # which print to stderr

    async def scenario() -> None:
        problems: list[object] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, problem: problems.append(problem))
        console.gather()
        output.close()
        LOG.info("nobody reads it")
        await asyncio.sleep(0)
        assert problems == []

    asyncio.run(scenario())


def test_levels_that_are_read_anew_count_at_once(console: logs.Console, output: Output) -> None:
    LOG.info("shown")
    console.configure({"Function.work": logging.WARNING})
    LOG.info("not shown")
    LOG.warning("shown as well")
    assert texts(output.getvalue()) == ["shown", "shown as well"]


def test_a_log_file_gets_the_same_records(
    console: logs.Console, output: Output, tmp_path: Path
) -> None:
    file = tmp_path / "log.jsonl"
    both = logs.Console(logs.Options(json_file=file))
    LOG.info("on its way")
    both.say("started")
    assert '"message": "on its way"' in file.read_text()
    assert '"message": "started"' in file.read_text()
    for handler in both._handlers:
        handler.close()
    assert not sys.stdout.closed
    with pytest.raises(logs.SettingsError, match="cannot write the log file"):
        logs.Console(logs.Options(json_file=tmp_path))
