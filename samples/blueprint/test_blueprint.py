"""What the README promises."""

from __future__ import annotations


def test_functions_of_a_blueprint_run(start_sample) -> None:  # type: ignore[no-untyped-def]
    host = start_sample()

    started = host.call("POST", "/api/orchestrators/greet_all").json["id"]

    assert host.finished(started)["output"] == ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]


async def test_all_cities_are_greeted(durable_host) -> None:  # type: ignore[no-untyped-def]
    greeting = await durable_host.start("greet_all")

    assert await greeting.result() == ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]
    assert [call.input for call in greeting.calls("greet")] == ["Tokyo", "Seattle", "London"]
