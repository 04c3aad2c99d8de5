"""What the README promises."""

from __future__ import annotations


def test_each_device_has_an_orchestration(start_sample) -> None:  # type: ignore[no-untyped-def]
    host = start_sample()

    devices = ["lamp", "door"]
    started = host.call("POST", "/api/orchestrators/provision_devices", devices).json["id"]

    assert host.finished(started)["output"] == ["lamp uses key-of-lamp", "door uses key-of-door"]
    for device in devices:
        assert host.finished(f"{started}:{device}")["runtimeStatus"] == "Completed"


async def test_one_device_that_fails_fails_all(durable_host) -> None:  # type: ignore[no-untyped-def]
    durable_host.stub_activity("register", raises=OSError("no signal"), times=1)
    provisioning = await durable_host.start("provision_devices", ["lamp", "door"])
    await provisioning.wait()

    provisioning.assert_failed("no signal")
    assert durable_host.instance(f"{provisioning.id}:door").output == "door uses key-of-door"
