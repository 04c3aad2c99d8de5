"""What the README promises."""

from __future__ import annotations


def test_the_status_tells_the_step(start_sample) -> None:  # type: ignore[no-untyped-def]
    host = start_sample(STEP_SECONDS="0.2")

    started = host.call("POST", "/api/orchestrators/bake").json["id"]
    knead = {"step": "knead", "number": 2, "of": 3}
    host.until(lambda: host.status(started).json["customStatus"] == knead)

    finished = host.finished(started)
    assert finished["customStatus"] == {"step": "done"}
    assert finished["output"] == ["mix: done", "knead: done", "bake: done"]


async def test_the_status_stands_while_the_step_runs(durable_host) -> None:  # type: ignore[no-untyped-def]
    seen: list[object] = []
    durable_host.stub_activity("work", calls=lambda step: seen.append(bake.custom_status))
    bake = await durable_host.start("bake", instance_id="bread")
    await bake.result()

    assert seen == [
        {"step": step, "number": number, "of": 3}
        for number, step in enumerate(["mix", "knead", "bake"], 1)
    ]
