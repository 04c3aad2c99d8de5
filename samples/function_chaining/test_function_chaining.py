"""What the README promises."""

from __future__ import annotations


def test_the_three_words_are_collected(start_sample) -> None:  # type: ignore[no-untyped-def]
    host = start_sample()

    started = host.call("POST", "/api/orchestrators/DurableOrchestration")
    finished = host.finished(started.json["id"])

    assert started.status == 202
    assert finished["runtimeStatus"] == "Completed"
    assert finished["output"] == ["One", "Two", "Three"]


def test_the_words_follow_each_other(durable_host) -> None:  # type: ignore[no-untyped-def]
    chain = durable_host.start("DurableOrchestration")

    assert chain.result() == ["One", "Two", "Three"]
    assert [call.input for call in chain.calls()] == ["One", "Two", "Three"]
