"""What the README promises."""

from __future__ import annotations


def test_signals_and_calls_are_counted(start_sample) -> None:  # type: ignore[no-untyped-def]
    host = start_sample()

    assert host.call("GET", "/api/counters/sheep").status == 404
    for number in (2, 3):
        assert host.call("POST", "/api/counters/sheep", number).status == 202
    host.until(lambda: host.call("GET", "/api/counters/sheep").body == b"5")
    started = host.call("POST", "/api/orchestrators/count_visit").json["id"]
    assert host.finished(started)["output"] == 1
