"""What the README promises."""

from __future__ import annotations


def test_an_order_travels_as_an_object(start_sample) -> None:  # type: ignore[no-untyped-def]
    host = start_sample()

    started = host.call("POST", "/api/orchestrators/place_order", {"article": "tea"}).json["id"]

    wanted = {"article": "tea", "is_paid": True, "kind": "Order"}
    assert host.finished(started)["output"] == wanted


async def test_an_order_is_paid(durable_host) -> None:  # type: ignore[no-untyped-def]
    order = await durable_host.start("place_order", {"article": "tea"})

    assert await order.result() == {"article": "tea", "is_paid": True, "kind": "Order"}
