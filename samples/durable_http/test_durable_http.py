"""What the README promises."""

from __future__ import annotations


def test_the_report_is_fetched_when_it_is_ready(start_sample) -> None:  # type: ignore[no-untyped-def]
    host = start_sample()

    url = f"{host.url}/api/slow-report"
    started = host.call("POST", "/api/orchestrators/fetch", url).json["id"]

    assert host.finished(started)["output"] == {"status": 200, "content": "the report"}
