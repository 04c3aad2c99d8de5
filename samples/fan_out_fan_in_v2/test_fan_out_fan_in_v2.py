"""What the README promises."""

from __future__ import annotations


def test_ten_values_are_summed(start_sample) -> None:  # type: ignore[no-untyped-def]
    host = start_sample()

    started = host.call("POST", "/api/orchestrators/fan_out_fan_in", 10)
    finished = host.finished(started.json["id"])

    assert finished["runtimeStatus"] == "Completed"
    assert finished["output"] == 45


async def test_values_are_summed(durable_host) -> None:  # type: ignore[no-untyped-def]
    durable_host.stub_activity("how_many", returns=100)
    fan_out = await durable_host.start("fan_out_fan_in")

    assert await fan_out.result() == sum(range(100))
    assert len(fan_out.calls("parrot")) == 100
