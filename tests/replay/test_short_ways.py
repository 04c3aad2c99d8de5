"""Replay takes short ways where nothing is special; each gives what the long way gives."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from azure.functions import (
    _durable_functions as codec,
)
from hypothesis import example, given
from hypothesis import strategies as st
from test_session import histories

import azure.durable_functions as df
from azure.durable_functions._replay import actions, executor, tasks, triggers
from azure.durable_functions._replay.tasks import TaskState
from azure.durable_functions._wire import df_serialization, payloads
from azure.durable_functions._wire.retry_options import RetryOptions
from azure.durable_functions.models.OrchestratorState import OrchestratorState
from azure.durable_functions.models.ReplaySchema import ReplaySchema

# Releases of 2024 have neither; ours stand in then, which is the long way too.
df_dumps = getattr(codec, "df_dumps", df_serialization.df_dumps)
df_loads = getattr(codec, "df_loads", df_serialization.df_loads)


class Parcel:
    """A class of the user's that the codec knows how to send."""

    def __init__(self, content: Any) -> None:
        self.content = content

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Parcel) and other.content == self.content

    @staticmethod
    def to_json(parcel: Parcel) -> Any:
        return {"content": parcel.content}

    @staticmethod
    def from_json(fields: dict[str, Any]) -> Parcel:
        return Parcel(fields["content"])


class Text(str):
    pass


leaves = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
) | st.text('a"\\\n\x7fé', min_size=1, max_size=4).map(lambda text: text * 1500)
values = st.recursive(
    leaves | st.text().map(Text) | leaves.map(Parcel),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module", autouse=True, params=["", "1"], ids=["loose", "strict"])
def mode(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setenv("AZURE_FUNCTIONS_DURABLE_STRICT_TYPING", request.param)
        # Releases of 2024 give no such notice.
        patch.setattr(codec, "_no_expected_type_notice_emitted", True, raising=False)
        yield


def outcome(function: Any, *arguments: Any) -> tuple[str, Any]:
    try:
        return "value", function(*arguments)
    except (TypeError, ValueError, AttributeError, ImportError) as error:
        return type(error).__name__, str(error)


@given(values)
@example(float("inf"))
@example((1, ("two", None)))
@example({1: "number as key", None: 2})
@example(object())
@example([object()])
def test_a_payload_is_encoded_as_the_codec_does(value: Any) -> None:
    assert outcome(payloads.encode, value) == outcome(df_dumps, value)


@given(values)
def test_a_payload_is_decoded_as_the_codec_does(value: Any) -> None:
    for text in {json.dumps(value, default=codec._serialize_custom_object), df_dumps("x")}:
        assert outcome(payloads.decode, text) == outcome(df_loads, text)


@given(st.text('{}[]":,0123truefalsn \\u005f_class', max_size=12))
@example(' "blank before"')
@example('"blank after" ')
@example('{"__clas\\u0073__": "Gone", "__module__": "gone", "__data__": 1}')
def test_text_that_may_be_no_json_is_refused_as_the_codec_does(text: str) -> None:
    assert outcome(payloads.decode, text) == outcome(df_loads, text)


@pytest.mark.parametrize("payload", [None, b'"bytes"', 5])
def test_what_is_no_text_is_left_to_the_codec(payload: Any) -> None:
    assert outcome(payloads.decode, payload) == outcome(df_loads, payload)


class Louder(actions.CallActivityAction):
    def to_json(self) -> dict[str, Any]:
        return {**super().to_json(), "loud": True}


names = st.text(min_size=1, max_size=5)
plain_values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3), max_leaves=3)
asked = st.recursive(
    st.builds(actions.CallActivityAction, names, plain_values)
    | st.builds(Louder, names, plain_values)
    | st.builds(actions.CallActivityAction, st.just(5), plain_values)
    | st.builds(actions.WaitForExternalEventAction, names)
    | st.builds(actions.ContinueAsNewAction, plain_values)
    | st.builds(
        actions.CallActivityWithRetryAction,
        names,
        st.builds(RetryOptions, st.integers(1, 9), st.integers(1, 9)),
    ),
    lambda inner: (
        st.builds(actions.WhenAllAction, st.lists(inner, max_size=3))
        | st.builds(actions.WhenAnyAction, st.lists(inner, max_size=3))
    ),
    max_leaves=5,
)


@given(
    st.booleans() | st.none() | st.integers(0, 2),
    st.lists(st.lists(asked, max_size=3), max_size=2),
    plain_values,
    # The official tests give a bare number or None.
    st.sampled_from(list(ReplaySchema)) | st.none() | st.integers(0, 3),
    st.none() | st.text(),
    plain_values,
)
def test_the_joined_answer_is_the_encoded_answer(
    is_done: Any,
    groups: list[list[actions.Action]],
    output: Any,
    schema: Any,
    error: str | None,
    status: Any,
) -> None:
    state = OrchestratorState(is_done, groups, output, schema, error, status)

    assert state.to_json_string() == df_dumps(state.to_json())


class Stepwise(executor.TaskOrchestrationExecutor):
    """Being a subclass, it takes every step for every event."""


@pytest.mark.parametrize("seed", range(60))
def test_the_short_walk_ends_like_the_long_one(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        handle, triggers, _ = histories(seed)
        for trigger in map(json.dumps, triggers):
            short = _answer(handle, trigger)
            with monkeypatch.context() as patch:
                patch.setattr(
                    "azure.durable_functions.orchestrator.TaskOrchestrationExecutor", Stepwise
                )
                assert _answer(handle, trigger) == short


def _answer(handle: Any, trigger: str) -> str:
    try:
        return str(handle(trigger))
    except Exception as error:
        return str(error)


def test_an_any_over_a_list_tells_what_is_pending() -> None:
    context = df.DurableOrchestrationContext(
        [{"EventType": 12, "Timestamp": "2026-01-15T10:00:00Z"}], "id", False, None
    )
    first, second = context.call_activity("a"), context.call_activity("b")
    either: Any = context.task_any([first, second])

    first.set_value(is_error=False, value=1)

    assert either.result is first
    assert either.pending_tasks == {second}
    with pytest.raises(Exception, match="completed twice"):
        either.handle_completion(first)


scripts = st.lists(
    st.tuples(st.just("any"), st.integers(0, 9), st.integers(0, 9))
    | st.tuples(st.just("rest"), st.integers(0, 9), st.just(0))
    | st.tuples(st.just("done"), st.integers(0, 9), st.just(0)),
    max_size=25,
)


def _told(script: list[tuple[str, int, int]], worth_a_look: int) -> list[Any]:
    """Build compounds over ten tasks and complete tasks, in the order of a script."""
    context = df.DurableOrchestrationContext(
        [{"EventType": 12, "Timestamp": "2026-01-15T10:00:00Z"}], "id", False, None
    )
    children = [context.call_activity(f"a{k}") for k in range(10)]
    built: list[Any] = []
    told: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "_WORTH_A_LOOK", worth_a_look)
        for what, first, second in script:
            if what == "done" and children[first].state is TaskState.RUNNING:
                children[first].set_value(is_error=False, value=first)
            elif what == "any":
                built.append(
                    context.task_any(children[min(first, second) : max(first, second) + 1])
                )
            elif what == "rest" and built:
                over = built[first % len(built)]
                rest = [child for child in over.children if child is not over.result]
                built.append(context.task_any(rest))
            told.append(
                [
                    [
                        task.state,
                        task.result and children.index(task.result),
                        [children.index(child) for child in task.completed_tasks[:1]],
                        task._is_scheduled,
                    ]
                    for task in built
                ]
            )
    return told


@given(scripts)
@example([("any", 0, 9), ("done", 3, 0), ("rest", 0, 0), ("any", 4, 5), ("done", 4, 0)])
@example([("any", 0, 9), ("done", 0, 0), ("rest", 0, 0), ("done", 1, 0), ("rest", 1, 0)])
@example([("any", 0, 9), ("done", 0, 0), ("rest", 0, 0), ("rest", 0, 0), ("done", 1, 0)])
def test_an_any_that_takes_over_knows_what_one_that_looks_at_all_knows(
    script: list[tuple[str, int, int]],
) -> None:
    assert _told(script, worth_a_look=1) == _told(script, worth_a_look=100)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats()
    | st.text(st.characters(codec=None), max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("library", ["msgspec.json:decode", "orjson:loads"])
@given(input_=json_values)
@example(input_=10**30)
@example(input_=[{"deep": [float("nan")]}])
@example(input_="\ud800")
@example(input_=[0] * 2000 + [10**30])
def test_a_library_reads_a_trigger_as_the_standard_library_does(library: str, input_: Any) -> None:
    name, _, function = library.partition(":")
    decode = getattr(pytest.importorskip(name), function)
    trigger = {
        "history": [{"EventType": 12, "EventId": -1, "Timestamp": "2026-01-15T10:00:00Z"}],
        "input": input_,
        "instanceId": "one",
        "isReplaying": False,
        "parentInstanceId": None,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(triggers, "_accelerator", lambda: decode)
        for text in (json.dumps(trigger), json.dumps(trigger, ensure_ascii=False)):
            assert repr(triggers.read(text)) == repr(json.loads(text))


def test_without_any_library_triggers_are_read_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("msgspec", "msgspec.json", "orjson"):
        monkeypatch.setitem(sys.modules, name, None)
    triggers._accelerator.cache_clear()
    try:
        assert triggers._accelerator() is None
    finally:
        triggers._accelerator.cache_clear()
