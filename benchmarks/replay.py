"""Our SDK beside the official package: `make bench`.

Both packages run in interpreters of their own, in one run, rounds interleaved; answers are compared
before anything is timed, and every text is sent once. Shown are medians, and medians of the ratios
within each round. The floor is what an answer costs at least (see `replay_worker.py`). Where node
is present, the package durable-functions for JavaScript replays the same texts.
"""

from __future__ import annotations

import itertools
import json
import statistics
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import triggers
from peers import HERE, NODE, NODE_MODULES, OFFICIAL, OURS, Peer, environment

Row = list[str]
HEADS = [
    "work",
    "official 1.7.0",
    "ours",
    "faster",
    "floor",
    "ours / floor",
    "with msgspec",
    "npm durable-functions",
]

REPLAYS: list[tuple[str, str, int, int]] = [
    ("chain", "chain, n = 10", 10, 100),
    ("chain", "chain, n = 1 000", 1000, 100),
    ("chain", "chain, n = 10 000", 10_000, 100),
    ("chain", "chain, n = 1 000, 10 KiB payloads", 1000, 10_240),
    ("fan_out", "fan-out, n = 1 000", 1000, 100),
    ("fan_out", "fan-out, n = 10 000", 10_000, 100),
    ("any_loop", "task_any over a shrinking list, n = 2 000", 2000, 100),
    ("any_loop", "task_any over a shrinking list, n = 4 000", 4000, 100),
    ("mixed", "activities, timers, children, events, n = 1 000", 1000, 100),
    ("events", "events, n = 1 000", 1000, 100),
]

_IMPORT = """
import json, sys, time
import azure.functions
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
known, before, began = set(map(id, sys.modules.values())), resident(), time.perf_counter()
import azure.durable_functions
took = time.perf_counter() - began
new = set(map(id, sys.modules.values())) - known
print(json.dumps([took, len(new), resident() - before]))
"""


class Bench:
    """The peers, and a number for each text."""

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds
        self.official = Peer(OFFICIAL, "replay_worker.py")
        self.ours = Peer(OURS, "replay_worker.py", "--plain")
        self.fast = Peer(OURS, "replay_worker.py")
        self.npm = Peer(NODE, "peer_durable_functions.js") if NODE_MODULES.exists() else None
        self._salts = itertools.count(1)

    def close(self) -> None:
        """End the peers."""
        for peer in (self.official, self.ours, self.fast, self.npm):
            if peer is not None:
                peer.close()

    def measure(
        self,
        title: str,
        case: str,
        make: Callable[[int], list[str]],
        *,
        has_floor: bool = True,
        divisor: float = 1,
        rounds: int | None = None,
    ) -> Row:
        """One row; a time of the worker is of a text, a row's of a `divisor`-th part of it."""
        check = make(next(self._salts))
        answers = {
            peer.ask(case=case, triggers=check)[1] for peer in (self.official, self.ours, self.fast)
        }
        assert len(answers) == 1, f"{title}: answers differ"
        if has_floor:
            least = self.ours.ask(case=case, triggers=check, floor=True)[1]
            assert answers == {least}, f"{title}: the floor's answer differs"
        if self.npm is not None:
            both = [
                peer.ask(case=case, triggers=check, answers=True)[1]
                for peer in (self.ours, self.npm)
            ]
            own, theirs = ([essence(case, answer) for answer in found] for found in both)
            assert own == theirs, f"{title}: the answer of durable-functions differs"
        times: list[list[float]] = []
        for _ in range(rounds or self.rounds):
            texts = [make(next(self._salts)) for _ in range(5)]
            times.append(
                [
                    self.official.ask(case=case, triggers=texts[0])[0],
                    self.ours.ask(case=case, triggers=texts[1])[0],
                    self.ours.ask(case=case, triggers=texts[2], floor=True)[0]
                    if has_floor
                    else float("nan"),
                    self.fast.ask(case=case, triggers=texts[3])[0],
                    self.npm.ask(case=case, triggers=texts[4])[0] if self.npm else float("nan"),
                ]
            )
        theirs, own, least, fast, npm = (
            statistics.median(column) / divisor for column in zip(*times, strict=True)
        )
        return [
            title,
            duration(theirs),
            duration(own),
            _ratio(official / ours for official, ours, *_ in times),
            duration(least) if has_floor else "",
            _ratio((ours / least for _, ours, least, *_ in times), 2) if has_floor else "",
            f"{duration(fast)}, {_ratio(official / fast for official, _, _, fast, _ in times)}",
            f"{duration(npm)}, {_ratio(npm / ours for _, ours, _, _, npm in times)}"
            if self.npm
            else "",
        ]

    def replays(self) -> Iterator[Row]:
        """A replay of a finished instance."""
        for case, title, count, size in REPLAYS:
            repeats = max(1, 3000 // count)

            def make(
                salt: int,
                case: str = case,
                count: int = count,
                size: int = size,
                repeats: int = repeats,
            ) -> list[str]:
                return [
                    triggers.orchestration(case, count, size, salt * 10_000 + k)
                    for k in range(repeats + 1)
                ]

            yield self.measure(title, case, make, has_floor=case != "mixed")

    def others(self) -> Iterator[Row]:
        """What is not one replay of a finished instance."""
        yield self.measure(
            "first episode",
            "chain",
            lambda salt: [triggers.first_episode(salt * 10_000 + k) for k in range(1001)],
            has_floor=False,
        )
        yield self.measure(
            "whole life of a 500-step chain (501 episodes)",
            "chain",
            lambda salt: [triggers.first_episode(salt), *triggers.life(500, 100, salt)],
            has_floor=False,
            divisor=1 / 501,
            rounds=min(3, self.rounds),
        )
        yield self.measure(
            "entity batch of 1 000, for each operation",
            "entity",
            lambda salt: [triggers.entity(1000, salt * 10 + k) for k in range(4)],
            divisor=1000,
        )
        yield self.memory()

    def memory(self) -> Row:
        """Peak of what is allocated while a chain of 10,000 is replayed."""
        peaks = [
            peer.ask(
                case="chain",
                triggers=[triggers.orchestration("chain", 10_000, 100, next(self._salts))],
                memory=True,
            )
            for peer in (self.official, self.ours, self.fast)
        ]
        theirs, own, fast = (peak / 2**20 for peak in peaks)
        return [
            "peak memory, chain, n = 10 000",
            f"{theirs:.1f} MiB",
            f"{own:.1f} MiB",
            f"{own / theirs:.2f} of it",
            "",
            "",
            f"{fast:.1f} MiB",
            "",
        ]


def imports(rounds: int) -> Row:
    """What the import of the package costs beyond azure.functions."""
    found: dict[Any, list[list[float]]] = {OFFICIAL: [], OURS: []}
    for number in range(rounds + 1):
        for python, rows in found.items():
            ran = subprocess.run(
                [str(python), "-c", _IMPORT],
                check=True,
                capture_output=True,
                text=True,
                cwd=HERE,
                env=environment(),
            )
            if number:  # the first one compiles
                rows.append(json.loads(ran.stdout))

    def told(rows: list[list[float]]) -> str:
        seconds, modules, memory = (statistics.median(column) for column in zip(*rows, strict=True))
        return f"{duration(seconds)}, {modules:.0f} modules, {memory / 2**20:.1f} MiB"

    pairs = zip(found[OFFICIAL], found[OURS], strict=True)
    faster = _ratio(theirs[0] / own[0] for theirs, own in pairs)
    return [
        "import beyond azure.functions",
        told(found[OFFICIAL]),
        told(found[OURS]),
        faster,
        "",
        "",
        "",
        "",
    ]


def clients(rounds: int) -> Iterator[Row]:
    """A client's request beside the same request made with bare aiohttp."""
    server = subprocess.Popen(
        [str(OURS), str(HERE / "client_server.py")], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    url = server.stdout.readline().strip()
    peers = [Peer(python, "client_worker.py", url) for python in (OFFICIAL, OURS)]
    official, ours = peers
    for what, at_once in itertools.product(("start", "status"), (1, 16)):
        question: dict[str, Any] = {"what": what, "at_once": at_once, "count": 480}
        times: list[list[float]] = []
        for _ in range(rounds + 1):
            times.append(
                [
                    official.ask(**question, bare=False),
                    ours.ask(**question, bare=False),
                    ours.ask(**question, bare=True),
                ]
            )
        del times[0]  # connects
        theirs, own, least = (statistics.median(column) for column in zip(*times, strict=True))
        yield [
            f"client, {what}, {at_once} at a time",
            duration(theirs),
            duration(own),
            _ratio(theirs / own for theirs, own, _ in times),
            f"{duration(least)} (aiohttp)",
            _ratio((own / least for _, own, least in times), 2),
            "",
            "",
        ]
    for peer in peers:
        peer.close()
    server.kill()


def essence(case: str, answer: str) -> Any:
    """What durable-functions for JavaScript must agree with.

    It writes inputs that are no texts as they are, a missing version not at all, times with
    milliseconds, and lists a `task_any` over what is left anew.
    """
    fields = json.loads(answer)
    if case == "any_loop":
        fields["actions"] = fields["actions"][0][:1]
    if case == "entity":
        for result in fields["results"]:
            result.pop("duration", None)
            result.pop("startTime", None)
    return json.loads(json.dumps(fields), object_hook=_action_in_common)


def _action_in_common(fields: dict[str, Any]) -> dict[str, Any]:
    if "input" in fields and not isinstance(fields["input"], str):
        fields["input"] = json.dumps(fields["input"])
    return {key: value for key, value in fields.items() if key not in ("fireAt", "version")}


def duration(seconds: float) -> str:
    """A time with its unit."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.1f} us"
    return f"{seconds * 1e3:.2f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _ratio(ratios: Iterator[float], digits: int = 1) -> str:
    return f"{statistics.median(ratios):.{digits}f}x"


def rows(rounds: int) -> Iterator[Row]:
    """Everything that is measured of the SDK."""
    bench = Bench(rounds)
    yield from bench.replays()
    yield from bench.others()
    bench.close()
    yield imports(max(5, rounds))
    yield from clients(rounds)
