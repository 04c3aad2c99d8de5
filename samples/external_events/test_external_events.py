"""What the README promises."""

from __future__ import annotations


def test_an_approval_in_time_is_processed(start_sample) -> None:  # type: ignore[no-untyped-def]
    host = start_sample()

    links = host.call("POST", "/api/orchestrators/Approval", 60).json
    event = links["sendEventPostUri"].replace("{eventName}", "Approval")
    assert host.call("POST", event, True).status == 202

    assert host.finished(links["id"])["output"] == "approved"


def test_without_an_approval_it_escalates(start_sample) -> None:  # type: ignore[no-untyped-def]
    host = start_sample()

    links = host.call("POST", "/api/orchestrators/Approval", 0.2).json

    assert host.finished(links["id"])["output"] == "escalated: nobody has decided"


def test_a_decision_is_processed_and_silence_escalated(durable_host) -> None:  # type: ignore[no-untyped-def]
    decided, forgotten = (durable_host.start("Approval", 3600) for _ in range(2))
    durable_host.raise_event(decided, "Approval", False, raw=True)

    assert decided.result() == "rejected"
    assert forgotten.result() == "escalated: nobody has decided"
