"""What the README promises."""

from __future__ import annotations


def test_ten_values_are_summed(start_sample) -> None:  # type: ignore[no-untyped-def]
    host = start_sample()

    started = host.call("POST", "/api/orchestrators/FanOutFanIn", 10)
    finished = host.finished(started.json["id"])

    assert finished["runtimeStatus"] == "Completed"
    assert finished["output"] == 45


def test_values_are_summed(durable_host) -> None:  # type: ignore[no-untyped-def]
    fan_out = durable_host.start("FanOutFanIn", 100)

    assert fan_out.result() == sum(range(100))
    assert len(fan_out.calls("ParrotValue")) == 100
