"""What the README promises; the official package lacks what the sample uses."""

from __future__ import annotations

import os
from typing import Any

import pytest

TEA = {"number": "a1", "article": "tea", "amount": 3, "price": 20}


@pytest.mark.skipif("SAMPLES_WORKER_PYTHON" in os.environ, reason="not for the official package")
def test_orders_are_sent_over_http(start_sample) -> None:  # type: ignore[no-untyped-def]
    host = start_sample()
    host.call("POST", "/api/orders", TEA)
    links = host.call("POST", "/api/orders", {**TEA, "number": "a2", "price": 500}).json
    host.call("POST", links["sendEventPostUri"].replace("{eventName}", "Approval"), True)

    assert host.finished("a1")["output"]["parcels"] == ["parcel 1", "parcel 2", "parcel 3"]
    assert host.finished("a2")["output"]["status"] == "sent"


async def order(host: Any, **changed: Any) -> Any:
    return await host.start("order_saga", {**TEA, **changed})


async def test_what_fails_is_undone_in_reverse(durable_host) -> None:  # type: ignore[no-untyped-def]
    out_of_stock = await order(durable_host, amount=11)
    refused = await order(durable_host, price=2000)

    assert (await out_of_stock.result())["reason"] == "only 10 of tea"
    assert (await refused.result())["reason"] == "over the limit"
    assert (await refused.result())["status"] == "undone"
    assert [call.name for call in refused.calls()] == ["reserve", "charge", "release"]


async def test_nobody_approves(durable_host) -> None:  # type: ignore[no-untyped-def]
    waiting = await order(durable_host, price=500)
    declined = await order(durable_host, price=500)
    await durable_host.raise_event(declined, "Approval", False)

    assert (await waiting.result())["reason"] == "a task has not ended within 2 days, 0:00:00"
    assert (await declined.result())["reason"] == "not approved"
    assert [call.name for call in declined.calls()][-2:] == ["refund", "release"]


async def test_the_bank_is_asked_again(durable_host) -> None:  # type: ignore[no-untyped-def]
    durable_host.stub_activity("charge", raises=ConnectionError("busy"), times=2)
    paid = await order(durable_host)

    assert (await paid.result())["status"] == "sent"
    assert len(paid.calls("charge")) == 3


async def test_an_order_survives_a_crash_anywhere(durable_host) -> None:  # type: ignore[no-untyped-def]
    async def scenario(host: Any) -> Any:
        return await (await order(host)).result()

    assert await durable_host.crash_everywhere(scenario) > 8


@pytest.mark.durable_app(None, strict_replay=True)
async def test_the_saga_is_deterministic(durable_host) -> None:  # type: ignore[no-untyped-def]
    assert (await (await order(durable_host)).result())["status"] == "sent"
