"""What the README promises."""

from __future__ import annotations

import re

PHONE = "+1 555 0100"


def sent_code(host) -> int:  # type: ignore[no-untyped-def]
    """The code that the log shows."""
    while True:
        for line in host.lines:
            found = re.search(r"The code for .* is (\d{4})", line)
            if found:
                return int(found[1])


def test_the_right_code_verifies(start_sample) -> None:  # type: ignore[no-untyped-def]
    host = start_sample()
    links = host.call("POST", "/api/orchestrators/verify_phone", PHONE).json
    event = links["sendEventPostUri"].replace("{eventName}", "Code")

    host.call("POST", event, 1)
    while host.status(links["id"]).json["customStatus"] != "wrong, 2 tries left":
        continue
    host.call("POST", event, sent_code(host))

    assert host.finished(links["id"])["output"] == "verified"


def test_three_wrong_codes_are_too_many(start_sample) -> None:  # type: ignore[no-untyped-def]
    host = start_sample()
    links = host.call("POST", "/api/orchestrators/verify_phone", PHONE).json
    for _ in range(3):
        host.call("POST", links["sendEventPostUri"].replace("{eventName}", "Code"), 1)

    assert host.finished(links["id"])["output"] == "too many tries"
