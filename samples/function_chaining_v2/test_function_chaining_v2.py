"""What the README promises."""

from __future__ import annotations


def test_the_three_words_are_collected(start_sample) -> None:  # type: ignore[no-untyped-def]
    host = start_sample()

    started = host.call("POST", "/api/orchestrators/chaining_orchestrator")
    finished = host.finished(started.json["id"])

    assert started.status == 202
    assert finished["runtimeStatus"] == "Completed"
    assert finished["output"] == ["One", "Two", "Three"]


async def test_the_chain_survives_a_crash_anywhere(durable_host) -> None:  # type: ignore[no-untyped-def]
    async def chain(host) -> object:  # type: ignore[no-untyped-def]
        return await (await host.start("chaining_orchestrator")).result()

    assert await durable_host.crash_everywhere(chain) > 6
