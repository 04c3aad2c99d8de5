"""What the README promises."""

from __future__ import annotations


def test_it_ends_when_the_file_is_there(start_sample, tmp_path) -> None:  # type: ignore[no-untyped-def]
    host = start_sample()
    parcel = tmp_path / "parcel"

    job = {"path": str(parcel), "seconds": 0.1}
    started = host.call("POST", "/api/orchestrators/monitor", job).json["id"]
    host.until(lambda: host.status(started).json["customStatus"] == "looked 2 times")
    parcel.touch()

    finished = host.finished(started)
    assert finished["output"].startswith(f"{parcel} was there at look ")
    assert len(finished["historyEvents"]) < 8


async def test_it_looks_every_hour_for_a_day(durable_host, tmp_path) -> None:  # type: ignore[no-untyped-def]
    parcel = tmp_path / "parcel"
    monitor = await durable_host.start("monitor", {"path": str(parcel), "seconds": 3600})
    await durable_host.advance(24 * 3600)
    assert monitor.custom_status == "looked 25 times"

    parcel.touch()
    assert await monitor.result() == f"{parcel} was there at look 26"
