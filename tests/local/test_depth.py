"""JSON that is nested deeply, and numbers that JSON lacks."""

from __future__ import annotations

import json

import pytest

from azure.durable_functions.local.web import exchange, instance_views


def request_of(body: bytes) -> exchange.Request:
    return exchange.Request("POST", "http://localhost/x", "/x", "", {}, body, True)


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def test_500_levels_are_taken_and_one_more_is_refused() -> None:
    assert exchange.read_json_text(request_of(nested(500).encode())) == nested(500)
    with pytest.raises(exchange.InvalidJson, match="nested deeper than 500"):
        exchange.read_json_text(request_of(nested(501).encode()))


def test_brackets_side_by_side_or_in_texts_are_no_depth() -> None:
    for text in (json.dumps([{}] * 600), json.dumps(["[" * 600 + '\\"' + "{" * 600])):
        assert exchange.read_json_text(request_of(text.encode())) == text


@pytest.mark.parametrize("depth", [501, 2_000, 200_000])
def test_what_is_stored_too_deep_is_shown_as_text(depth: int) -> None:
    answer = exchange.as_json(200, [instance_views.shown(nested(depth))])
    assert json.loads(answer.body) == [nested(depth)]


def test_numbers_that_json_lacks_are_shown_as_texts() -> None:
    stored = "[NaN, Infinity, -Infinity, 1.5]"
    body = exchange.as_json(200, instance_views.shown(stored)).body.decode()
    assert body == '["NaN","Infinity","-Infinity",1.5]'
