"""What the README promises."""

from __future__ import annotations


def test_ten_values_are_summed(start_sample) -> None:  # type: ignore[no-untyped-def]
    host = start_sample()

    started = host.call("POST", "/api/orchestrators/fan_out_fan_in", 10)
    finished = host.finished(started.json["id"])

    assert finished["runtimeStatus"] == "Completed"
    assert finished["output"] == 45
