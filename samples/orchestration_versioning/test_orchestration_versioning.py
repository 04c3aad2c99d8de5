"""What the README promises."""

from __future__ import annotations

from host_process import WEBHOOK


def test_each_version_takes_its_way(start_sample) -> None:  # type: ignore[no-untyped-def]
    host = start_sample()
    outputs = {}
    for name, version in (("old", {"version": "1.0"}), ("new", {})):
        host.call("POST", f"{WEBHOOK}/orchestrators/deliver/{name}", query=version)
        host.call(
            "POST",
            f"{WEBHOOK}/instances/{name}/raiseEvent/Loaded",
            None,
            raw=b"null",
            headers={"Content-Type": "application/json"},
        )
        outputs[name] = host.finished(name)["output"]

    assert outputs == {"old": ["parcel carried"], "new": ["parcel insured", "parcel carried"]}


async def test_old_deliveries_are_not_insured(durable_host) -> None:  # type: ignore[no-untyped-def]
    outputs = {}
    for version in ("1.0", None):
        parcel = await durable_host.start("deliver", version=version)
        await durable_host.raise_event(parcel, "Loaded")
        outputs[version] = await parcel.result()

    assert outputs == {"1.0": ["parcel carried"], None: ["parcel insured", "parcel carried"]}
