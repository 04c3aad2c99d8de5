"""What the README promises."""

from __future__ import annotations


def test_the_report_is_fetched_when_it_is_ready(start_sample) -> None:  # type: ignore[no-untyped-def]
    host = start_sample()

    url = f"{host.url}/api/slow-report"
    started = host.call("POST", "/api/orchestrators/fetch", url).json["id"]

    assert host.finished(started)["output"] == {"status": 200, "content": "the report"}


async def test_a_report_that_is_not_ready_is_asked_for_again(durable_host) -> None:  # type: ignore[no-untyped-def]
    report = "https://example.org/report"
    later = {"Location": f"{report}?ready=1", "Retry-After": "600"}
    durable_host.http_responses.add(report, status=202, headers=later)
    durable_host.http_responses.add(f"{report}?ready=1", text="the report")
    began = durable_host.now

    fetched = await durable_host.start("fetch", report)

    assert await fetched.result() == {"status": 200, "content": "the report"}
    assert (durable_host.now - began).total_seconds() >= 600
