"""What the README promises."""

from __future__ import annotations


def test_an_approval_in_time_is_processed(start_sample) -> None:  # type: ignore[no-untyped-def]
    host = start_sample()

    links = host.call("POST", "/api/orchestrators/approval", 60).json
    event = links["sendEventPostUri"].replace("{eventName}", "Approval")
    assert host.call("POST", event, True).status == 202

    assert host.finished(links["id"])["output"] == "approved"


def test_without_an_approval_it_escalates(start_sample) -> None:  # type: ignore[no-untyped-def]
    host = start_sample()

    links = host.call("POST", "/api/orchestrators/approval", 0.2).json

    assert host.finished(links["id"])["output"] == "escalated: nobody has decided"


async def test_a_decision_is_processed_and_silence_escalated(durable_host) -> None:  # type: ignore[no-untyped-def]
    decided = await durable_host.start("approval", 3600)
    await durable_host.raise_event(decided, "Approval", True, raw=True)
    forgotten = await durable_host.start("approval", 3600)

    assert await decided.result() == "approved"
    assert await forgotten.result() == "escalated: nobody has decided"
