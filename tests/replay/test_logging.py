"""What orchestrators log stands in the log once, with what it belongs to."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Generator
from typing import Any

import pytest
from history_kit import History

import azure.durable_functions as df
from azure.durable_functions.testing import DurableTestHost

Context = df.DurableOrchestrationContext
plain = logging.getLogger("shop")


def talkative(context: Context) -> Generator[Any, Any, Any]:
    safe = context.create_replay_safe_logger(plain)
    plain.info("begins")
    safe.info("safe %s", "begins")
    yield context.call_activity("A", 1)
    plain.warning("goes on")
    context.logger.info("logged")
    safe.info("more", extra={"order": 5})
    return safe.isEnabledFor(logging.INFO)


def first_line(function: Any) -> int:
    return int(function.__code__.co_firstlineno)


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


@pytest.fixture(autouse=True)
def level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def test_a_replay_does_not_log_again(caplog: pytest.LogCaptureFixture) -> None:
    history = History()
    history.replay(talkative)
    assert messages(caplog) == ["begins", "safe begins"]

    caplog.clear()
    answer = history.episode().done(0).replay(talkative)
    assert messages(caplog) == ["goes on", "logged", "more"]
    assert answer["output"] is True


def test_records_tell_what_they_belong_to(caplog: pytest.LogCaptureFixture) -> None:
    with DurableTestHost(app()) as host:
        instance = host.start("talkative")
        instance.result()

    for record in caplog.records:
        if record.name in ("shop", "talkative"):
            told = record.__dict__
            assert told["instance_id"] == instance.id
            assert told["function_name"] == "talkative"
            assert told["is_replaying"] is False
    assert caplog.records[-1].__dict__.get("order") in (5, None)
    assert messages(caplog).count("begins") == 1


def test_records_name_the_line_that_has_logged(caplog: pytest.LogCaptureFixture) -> None:
    History().replay(talkative)

    places = [(record.pathname, record.lineno) for record in caplog.records]
    assert places == [(__file__, first_line(talkative) + 2), (__file__, first_line(talkative) + 3)]


def test_what_explains_an_orchestrator_does_not_log_for_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    history = History().episode().done(0)
    df.Orchestrator.create(talkative).explain(json.dumps(history.trigger()))
    assert messages(caplog) == []

    def forgetful_and_talkative(context: Context) -> Generator[Any, Any, Any]:
        yield context.call_activity("A", 1)
        context.call_activity("forgotten")
        plain.info("once")
        context.logger.info("once as well")

    with pytest.warns(df.TaskNeverYieldedWarning):
        history.replay(forgetful_and_talkative)
    assert messages(caplog) == ["once", "once as well"]


def test_the_filter_can_be_switched_off(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_FUNCTIONS_DURABLE_REPLAY_LOGS", "1")
    History().episode().done(0).replay(talkative)

    assert messages(caplog) == ["begins", "goes on", "logged", "more"]
    assert caplog.records[0].__dict__["is_replaying"] is True


def test_what_is_logged_outside_of_orchestrators_is_left_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    History().replay(talkative)
    plain.info("outside")

    assert messages(caplog)[-1] == "outside"
    assert not hasattr(caplog.records[-1], "instance_id")


def app() -> df.DFApp:
    made = df.DFApp()
    made.orchestration_trigger(context_name="context")(talkative)

    @made.activity_trigger(input_name="value")
    def A(value: int) -> list[Any]:
        told = df.activity_context()
        return [told.instance_id, told.name]

    @made.orchestration_trigger(context_name="context")
    def asking(context: Context) -> Generator[Any, Any, Any]:
        return (yield context.call_activity("A", 1))

    return made


def test_an_activity_may_know_who_has_called_it() -> None:
    with DurableTestHost(app()) as host:
        instance = host.start("asking")
        assert instance.result() == [instance.id, "A"]
    assert df.activity_context() == df.ActivityContext(None, None)


def forgetful(context: Context) -> Generator[Any, Any, Any]:
    context.call_activity("forgotten", "secret")
    yield context.call_activity("A", 1)
    return "done"


def test_a_task_that_is_never_yielded_is_told_with_its_place() -> None:
    history = History().episode().done(0)
    with pytest.warns(df.TaskNeverYieldedWarning, match="activity 'forgotten' was made") as told:
        assert history.replay(forgetful)["output"] == "done"

    assert told[0].filename == __file__
    assert told[0].lineno == first_line(forgetful) + 1
    assert "secret" not in str(told[0].message)


def test_sessions_tell_it_too() -> None:
    trigger = History().trigger()
    session: Any = df.Orchestrator.create(forgetful).open_session(json.dumps(trigger))
    session.answer(None)
    later = History().episode().done(0).events[len(trigger["history"]) :]

    with pytest.warns(df.TaskNeverYieldedWarning, match="activity 'forgotten' was made"):
        session.answer(json.dumps(later))


@pytest.mark.parametrize("longest", [None, "00:00:10"])
def test_waits_with_a_time_out_do_not_hide_it(longest: str | None) -> None:
    def hurried(context: Context) -> Generator[Any, Any, Any]:
        context.call_activity("forgotten", "secret")
        yield context.call_activity("A", 1, timeout=15)

    limits = {
        "maximumShortTimerDuration": longest,
        "longRunningTimerIntervalDuration": longest,
    }
    with pytest.warns(df.TaskNeverYieldedWarning, match="forgotten"):
        History(**limits).episode().done(0).replay(hurried)


def test_such_a_warning_does_not_change_the_answer(caplog: pytest.LogCaptureFixture) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert History().episode().done(0).replay(forgetful)["output"] == "done"
    assert "never yielded or awaited" in messages(caplog)[-1]


def test_a_task_that_waits_is_not_forgotten() -> None:
    def waiting(context: Context) -> Generator[Any, Any, Any]:
        first = context.call_activity("A", 1)
        yield context.wait_for_external_event("go")
        yield first

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        History().replay(waiting)
        History().episode().raised("go").replay(waiting)


def test_an_unknown_name_is_told_with_the_nearest_one() -> None:
    made = app()

    @made.orchestration_trigger(context_name="context")
    def mistaken(context: Context) -> Generator[Any, Any, Any]:
        yield context.call_sub_orchestrator("talkativ", 1)

    with DurableTestHost(made) as host:
        instance = host.start("mistaken")
        instance.wait()
        instance.assert_failed("Did you mean 'talkative'")
