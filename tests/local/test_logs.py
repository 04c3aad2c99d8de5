"""What the host writes, and when."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from host_process import WEBHOOK, HostProcess

from azure.durable_functions.local import console_log
from azure.durable_functions.local.cli.running import LoopErrors
from azure.durable_functions.local.worker import runtime
from azure.durable_functions.local.worker.link import Frame
from azure.durable_functions.local.workers.pool import _entity_of, _instance_of

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
def console(output: Output) -> Iterator[console_log.Console]:
    names = ("azure.durable_functions.local", "Function", "asyncio", "aiohttp")
    sources = [logging.getLogger(name) for name in names]
    before = [(log, log.handlers[:], log.propagate, log.level) for log in sources]
    yield console_log.Console(console_log.LogOptions())
    for log, handlers, propagates, level in before:
        log.handlers[:], log.propagate = handlers, propagates
        log.setLevel(level)


def texts(written: str) -> list[str]:
    """The lines without their times."""
    return [line.partition("] ")[2] or line for line in written.splitlines()]


def test_one_turn_of_the_loop_is_written_at_once(
    console: console_log.Console, output: Output
) -> None:
    async def scenario() -> None:
        console.buffer()
        LOG.info("one")
        LOG.info("two")
        assert output.writes == []
        await asyncio.sleep(0)
        assert [texts(written) for written in output.writes] == [["one", "two"]]

    asyncio.run(scenario())


def test_other_threads_and_the_start_write_at_once(
    console: console_log.Console, output: Output
) -> None:
    async def scenario() -> None:
        console.buffer()
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
    console: console_log.Console, output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)  # which print to stderr

    async def scenario() -> None:
        problems: list[object] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, problem: problems.append(problem))
        console.buffer()
        output.close()
        LOG.info("nobody reads it")
        await asyncio.sleep(0)
        assert problems == []

    asyncio.run(scenario())


def test_levels_that_are_read_anew_count_at_once(
    console: console_log.Console, output: Output
) -> None:
    LOG.info("shown")
    console.configure({"Function.work": logging.WARNING})
    LOG.info("not shown")
    LOG.warning("shown as well")
    assert texts(output.getvalue()) == ["shown", "shown as well"]


def test_a_log_file_gets_the_same_records(
    console: console_log.Console, output: Output, tmp_path: Path
) -> None:
    file = tmp_path / "log.jsonl"
    both = console_log.Console(console_log.LogOptions(json_file=file))
    LOG.info("on its way")
    both.say("started")
    assert '"message": "on its way"' in file.read_text()
    assert '"message": "started"' in file.read_text()
    for handler in both._handlers:
        handler.close()
    assert not sys.stdout.closed
    with pytest.raises(console_log.SettingsError, match="cannot write the log file"):
        console_log.Console(console_log.LogOptions(json_file=tmp_path))


def of_app(**header: object) -> Frame:
    told = {
        "type": "log",
        "level": logging.INFO,
        "logger": "shop",
        "function": "post",
        "invocationId": "0f",
        "instanceId": "order-1",
    }
    return Frame({**told, **header}, b"posted\nfor the customer")


def test_a_line_about_an_instance_ends_with_its_id_above_what_follows(
    console: console_log.Console, output: Output
) -> None:
    LOG.info("Executed %s\nResult: Failure", 1, extra={"instance_id": "order-1"})
    console.show_user_record(of_app())
    LOG.info("of nobody")
    assert texts(output.getvalue()) == [
        "Executed 1 [order-1]",
        "Result: Failure",
        "posted [order-1]",
        "for the customer",
        "of nobody",
    ]


def test_the_id_can_be_left_out(
    console: console_log.Console, output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", output)
    console_log.Console(console_log.LogOptions(names_instances=False)).show_user_record(of_app())
    assert texts(output.getvalue()) == ["posted", "for the customer"]


def test_a_json_line_tells_instance_function_logger_invocation_and_extra(
    console: console_log.Console, output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", output)
    as_json = console_log.Console(console_log.LogOptions(as_json=True))
    as_json.show_user_record(of_app(extra={"customer": "C-17"}))
    line = json.loads(output.getvalue())
    del line["time"]
    assert line == {
        "level": "Information",
        "category": "Function.post.User",
        "logger": "shop",
        "message": "posted\nfor the customer",
        "instanceId": "order-1",
        "functionName": "post",
        "invocationId": "0f",
        "extra": {"customer": "C-17"},
    }


def test_what_an_app_gives_as_extra_is_sent_as_far_as_it_can_be() -> None:
    sent: list[Frame] = []
    log = logging.getLogger("test.extra")
    log.propagate = False
    handler = runtime._HostHandler(sent.append)
    log.addHandler(handler)
    try:
        log.warning("x", extra={"path": Path("a"), "sum": float("nan"), "instance_id": "sdk"})
        log.warning("x", extra={"large": "y" * 100_000})
        log.warning("x")
    finally:
        log.removeHandler(handler)
    extras = [frame.header.get("extra") for frame in sent]
    assert extras == [{"path": "a", "sum": "NaN"}, "too long", None]


def test_a_log_file_is_put_aside_when_it_is_large_and_three_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    handler = console_log._RotatingFile(file, largest=50)
    for number in range(6):
        handler.emit(logging.makeLogRecord({"msg": f"{number}" * 60}))
    handler.close()
    names = {path.name: path.read_text()[:1] for path in tmp_path.iterdir()}
    assert names == {"log.jsonl": "", "log.jsonl.1": "5", "log.jsonl.2": "4", "log.jsonl.3": "3"}


def test_the_instance_is_found_behind_an_input_that_imitates_it() -> None:
    trigger = (
        '{"history":[],"input":"{,\\"instanceId\\":1}","instanceId":"a\\"b","isReplaying":true}'
    )
    assert _instance_of(trigger) == 'a"b'
    trigger = '{"input":{"x":1,"instanceId":"user"},"instanceId":"one","parentInstanceId":null}'
    assert _instance_of(trigger) == "one"
    assert _instance_of("{}") is None
    assert _entity_of('{"self":{"name":"Counter","key":"a"},"exists":true}') == "@counter@a"


APP = """
import logging
import azure.durable_functions as df
app = df.DFApp()

@app.orchestration_trigger(context_name="context")
def order(context):
    context.signal_entity(df.EntityId("Ledger", "main"), "add")
    return (yield context.call_activity("post", 1))

@app.activity_trigger(input_name="n")
def post(n):
    logging.getLogger("shop").warning("posted", extra={"customer": "C-17"})
    return n

@app.entity_trigger(context_name="context")
def Ledger(context):
    logging.getLogger("shop").warning("added")
"""


@pytest.mark.parametrize("options", [(), ("--sessions",)])
def test_every_line_of_an_instance_names_it(tmp_path: Path, options: tuple[str, ...]) -> None:
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    (tmp_path / "function_app.py").write_text(APP)
    file = tmp_path / "log.jsonl"
    with HostProcess(tmp_path, "--verbose", "--json-output-file", str(file), *options) as host:
        path = f"{WEBHOOK}/orchestrators/order/order-1"
        assert host.call("POST", path).status == 202
        host.finished("order-1")
        host.until(lambda: any("added [@ledger@main]" in line for line in host.lines))
    for begin, instance_id in (
        ("Executing 'Functions.order'", "order-1"),
        ("Executed 'Functions.order'", "order-1"),
        ("Executing 'Functions.post'", "order-1"),
        ("posted", "order-1"),
        ("Turn of order: arrived EXECUTION_STARTED", "order-1"),
        ("Executing 'Functions.Ledger'", "@ledger@main"),
    ):
        found = [line for line in host.lines if begin in line]
        assert found, begin
        assert all(line.endswith(f"[{instance_id}]") for line in found), found
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    posted = next(line for line in lines if line["message"] == "posted")
    assert (posted["instanceId"], posted["functionName"]) == ("order-1", "post")
    assert (posted["logger"], posted["extra"]) == ("shop", {"customer": "C-17"})
    executed = next(line for line in lines if "Executed 'Functions.post'" in line["message"])
    assert posted["invocationId"] == executed["invocationId"]
    assert executed["instanceId"] == "order-1"
    assert not any("--verbose flag" in line for line in host.lines)
    assert any(f"Answered POST {path}: 202" in line for line in host.lines)


def test_text_of_a_function_cannot_forge_a_line_nor_steer_the_terminal(
    console: console_log.Console, output: Output
) -> None:
    LOG.warning("one\n[2026-01-01T00:00:00.000Z] two\r[x]\x1b[2J\x9b31m\x07 \u2028end")

    first, second = output.getvalue().splitlines()
    assert first.endswith("] one")
    assert second == "  [2026-01-01T00:00:00.000Z] two\\r[x]\\x1b[2J\\x9b31m\\x07 \\u2028end"


def test_an_instance_id_cannot_either(console: console_log.Console, output: Output) -> None:
    LOG.warning("text", extra={"instance_id": "a\x1b[2Jb"})

    assert "\x1b[2J" not in output.getvalue()


@pytest.mark.parametrize("as_json", [False, True])
def test_half_a_surrogate_pair_costs_no_line(tmp_path: Path, *, as_json: bool) -> None:
    path = tmp_path / "log"
    with path.open("w", encoding="utf-8") as stream:
        handler = console_log._BufferedHandler(stream)
        form: logging.Formatter = console_log.ConsoleFormatter(is_terminal=False)
        handler.setFormatter(console_log.JsonFormatter() if as_json else form)
        for text in ("before", "half \ud83d of one", "after"):
            record = logging.LogRecord("Function.x", 30, "", 0, text, None, None)
            handler._buffered.append(f"{handler.format(record)}\n")
        handler.flush()

    lines = path.read_text("utf-8").splitlines()
    assert len(lines) == 3
    assert "half \\ud83d of one" in lines[1]
    if as_json:
        assert json.loads(lines[1])["message"] == "half \ud83d of one"


def test_connections_that_cannot_be_taken_are_told_once_and_not_each(
    console: console_log.Console, output: Output
) -> None:
    log_error = LoopErrors()
    loop = asyncio.new_event_loop()
    message = "socket.accept() out of system resource"
    for _ in range(500):
        log_error(loop, {"message": message, "exception": OSError(24, "too many")})
    loop.close()

    assert output.getvalue().count("Cannot accept connections") == 1
