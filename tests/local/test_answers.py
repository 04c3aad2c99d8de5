"""Reading an orchestrator's answer with what the one before has listed changes nothing but time."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azure.durable_functions.local.engine.texts.answers import Listed, read
from azure.durable_functions.local.engine.turns.decisions import ProtocolError

texts = st.text(st.sampled_from('ab"\\[]{},: é'), max_size=6)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
actions = st.lists(st.dictionaries(texts, values, max_size=3), max_size=4)
outcomes = st.dictionaries(st.sampled_from(["output", "error", "customStatus"]), values)


def text_of(listed: list[Any], outcome: dict[str, Any], *, is_done: bool = False) -> str:
    """As the SDKs write it."""
    return json.dumps({"isDone": is_done, "schemaVersion": 2, "actions": [listed], **outcome})


def whole(text: str) -> tuple[list[Any], dict[str, Any]]:
    fields = json.loads(text)
    return fields.pop("actions")[0], fields


@given(actions, actions, outcomes, outcomes, st.booleans())
def test_of_an_answer_that_lists_more_only_what_is_new_is_read(
    before: list[Any], new: list[Any], first: dict[str, Any], second: dict[str, Any], is_done: bool
) -> None:
    listed = read(text_of(before, first)).listed
    text = text_of([*before, *new], second, is_done=is_done)

    answer = read(text, listed)

    assert answer.is_suffix == bool(before)
    assert (answer.actions, answer.fields) == (new, whole(text)[1])
    assert answer.listed == read(text).listed


@given(actions, actions, outcomes)
def test_whatever_was_listed_before_no_action_is_lost_or_made_up(
    before: list[Any], now: list[Any], outcome: dict[str, Any]
) -> None:
    text = text_of(now, outcome)

    answer = read(text, read(text_of(before, {})).listed)

    known = before if answer.is_suffix else []
    assert [*known, *answer.actions] == now
    assert answer.fields == whole(text)[1]


@given(actions, outcomes, st.sampled_from([None, 1]))
def test_an_answer_of_another_form_is_read_as_any_json(
    listed: list[Any], outcome: dict[str, Any], indent: int | None
) -> None:
    form = {"actions": [listed], **outcome, "isDone": False, "schemaVersion": 2}
    text = json.dumps(form, indent=indent)
    answer = read(text)
    assert (answer.fields, answer.actions) == (whole(text)[1], listed)
    assert not read(text, answer.listed).is_suffix


@pytest.mark.parametrize(
    "text",
    [
        '{"isDone": false, "schemaVersion": 2, "actions": [[{"a": 1}], []]}',
        '{"isDone": false, "schemaVersion": 2, "actions": [[{"a": 1}]}',
        '{"isDone": false, "schemaVersion": 2, "actions": [[{"a": 1}{"b": 1}]]}',
        '{"isDone": false, "schemaVersion": 2, "actions": [[{"a": 1},]]}',
        '{"isDone": false, "schemaVersion": 2, "actions": [[{"a": 1}, 7]]}',
        '{"isDone": false, "schemaVersion": 2, "actions": [[{"a": 1}]], "actions": 7}',
        '{"isDone": false, "schemaVersion": 4, "actions": [[{"a": 1}]]}',
        '{"isDone": false, "actions": [[{"a": 1}]]}',
        '{"isDone": false, "schemaVersion": 2, "actions": [[{"a": 1}',
        "[]",
        "",
    ],
)
@pytest.mark.parametrize("before", [None, read(text_of([{"a": 1}], {})).listed])
def test_what_is_no_answer_is_refused(text: str, before: Listed | None) -> None:
    with pytest.raises(ProtocolError):
        read(text, before)
