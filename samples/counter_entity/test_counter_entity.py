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


async def test_visits_are_counted(durable_host) -> None:  # type: ignore[no-untyped-def]
    for visits in (1, 2):
        assert await (await durable_host.start("count_visit")).result() == visits

    await durable_host.http.post("/api/counters/visits", json=5)
    await durable_host.settle()
    assert (await durable_host.http.get("/api/counters/visits")).json() == 7
