"""What the README promises."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from host_process import HostProcess

SENT = re.compile(r"The code for .* is (\d{4})")


class Person:
    """Somebody whose phone is verified."""

    def __init__(self, host: HostProcess) -> None:
        links = host.call("POST", "/api/orchestrators/verify_phone", "+1 555 0100").json
        self.host = host
        self.id = links["id"]
        self._event = links["sendEventPostUri"].replace("{eventName}", "Code")
        host.until(lambda: any(SENT.search(line) for line in host.lines))
        self.code = next(int(found[1]) for line in host.lines if (found := SENT.search(line)))

    def sends(self, code: int) -> None:
        assert self.host.call("POST", self._event, code).status == 202

    def reads(self, status: str) -> None:
        self.host.until(lambda: self.host.status(self.id).json["customStatus"] == status)


@pytest.fixture
def person(start_sample: Callable[..., HostProcess]) -> Person:
    return Person(start_sample())


def test_the_right_code_verifies(person: Person) -> None:
    person.sends(1)
    person.reads("wrong, 2 tries left")
    person.sends(person.code)

    assert person.host.finished(person.id)["output"] == "verified"


def test_three_wrong_codes_are_too_many(person: Person) -> None:
    for tries_left in (2, 1):
        person.sends(1)
        person.reads(f"wrong, {tries_left} tries left")
    person.sends(1)

    assert person.host.finished(person.id)["output"] == "too many tries"


async def test_the_code_may_come_at_the_third_try_but_in_time(durable_host) -> None:  # type: ignore[no-untyped-def]
    durable_host.stub_activity("send_code", returns=4711)
    person = await durable_host.start("verify_phone", "+1 555 0100")
    for code in (1, 2):
        await durable_host.raise_event(person, "Code", code, raw=True)
    assert person.custom_status == "wrong, 1 tries left"
    await durable_host.raise_event(person, "Code", 4711, raw=True)
    assert await person.result() == "verified"

    silent = await durable_host.start("verify_phone", "+1 555 0101")
    assert await silent.result() == "too late"
