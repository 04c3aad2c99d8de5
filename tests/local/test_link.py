"""Frames between host and worker."""

from __future__ import annotations

import asyncio
import os
import socket
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azure.durable_functions.local.worker.link import _LENGTHS, Frame, Link, encode

HEADERS = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=20), max_size=3)
FRAMES = st.lists(st.builds(Frame, HEADERS, st.binary(max_size=200)), max_size=6)


@given(FRAMES, st.data())
def test_frames_arrive_whole_however_the_socket_cuts_them(
    frames: list[Frame], data: st.DataObject
) -> None:
    sent = b"".join(encode(frame) for frame in frames)
    places = data.draw(st.lists(st.integers(0, len(sent)), max_size=10).map(sorted))

    async def run() -> list[Frame]:
        here, there = socket.socketpair()
        arrived: list[Frame] = []
        has_ended = asyncio.Event()
        Link(there, arrived.append, has_ended.set)
        for first, last in zip([0, *places], [*places, len(sent)], strict=True):
            here.sendall(sent[first:last])
            await asyncio.sleep(0)
        here.close()
        await asyncio.wait_for(has_ended.wait(), 10)
        return arrived

    assert asyncio.run(run()) == frames


def test_what_the_socket_cannot_take_at_once_arrives_all_the_same() -> None:
    async def run() -> None:
        here, there = socket.socketpair()
        arrived: asyncio.Queue[Frame] = asyncio.Queue()
        sender = Link(here, arrived.put_nowait, lambda: None)
        receiver = Link(there, arrived.put_nowait, lambda: None)
        sent = [Frame({"number": number}, b"x" * 1_000_000) for number in range(5)]
        for frame in sent:
            sender.send(frame)
        assert [await asyncio.wait_for(arrived.get(), 10) for _ in sent] == sent
        sender.close()
        receiver.close()

    asyncio.run(run())


def test_a_frame_that_comes_too_early_comes_again() -> None:
    async def run() -> list[Any]:
        here, there = socket.socketpair()
        seen: list[Any] = []
        has_ended = asyncio.Event()
        loop = asyncio.get_running_loop()

        def receive(frame: Frame) -> bool:
            number = frame.header["number"]
            if number % 2 and "done" not in seen[-1:]:
                return True
            seen.append(number)
            loop.call_soon(seen.append, "done")
            return False

        Link(there, receive, has_ended.set)
        here.sendall(b"".join(encode(Frame({"number": number})) for number in range(4)))
        here.close()
        await asyncio.wait_for(has_ended.wait(), 10)
        return seen

    assert asyncio.run(run()) == [0, "done", 1, 2, "done", "done", 3, "done"]


def test_threads_send_whole_frames_side_by_side() -> None:
    async def run() -> None:
        here, there = socket.socketpair()
        arrived: list[Frame] = []
        has_ended = asyncio.Event()
        sender = Link(here, arrived.append, lambda: None)
        Link(there, arrived.append, has_ended.set)
        frames = [Frame({"number": number}, bytes([number]) * 90_000) for number in range(40)]
        with ThreadPoolExecutor(8) as threads:
            for frame in frames:
                threads.submit(sender.send, frame)
            while len(arrived) < len(frames):
                await asyncio.sleep(0)
        sender.close()
        await asyncio.wait_for(has_ended.wait(), 10)
        assert sorted(arrived, key=lambda frame: frame.header["number"]) == frames

    asyncio.run(run())


def test_a_forked_child_does_not_write_into_the_frames_of_its_parent() -> None:
    async def run() -> None:
        here, there = socket.socketpair()
        arrived: list[Frame] = []
        has_ended = asyncio.Event()
        sender = Link(here, arrived.append, lambda: None)
        Link(there, arrived.append, has_ended.set)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # newer Pythons warn of forks beside threads
            child = os.fork()
        if child == 0:
            sender.send(Frame({"from": "child"}))
            os._exit(0)
        os.waitpid(child, 0)
        sender.send(Frame({"from": "parent"}))
        sender.close()
        await asyncio.wait_for(has_ended.wait(), 10)
        assert [frame.header["from"] for frame in arrived] == ["parent"]

    asyncio.run(run())


def test_a_finalizer_may_send_while_a_frame_is_being_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        here, there = socket.socketpair()
        arrived: asyncio.Queue[Frame] = asyncio.Queue()
        sender = Link(here, arrived.put_nowait, lambda: None)
        receiver = Link(there, arrived.put_nowait, lambda: None)
        later = asyncio.get_running_loop().call_soon_threadsafe

        def with_a_finalizer(*arguments: Any) -> Any:
            monkeypatch.undo()
            sender.send(Frame({"number": 2}))
            return later(*arguments)

        large = Frame({"number": 1}, b"x" * 2_000_000)  # so that a part of it has to wait
        monkeypatch.setattr(asyncio.get_running_loop(), "call_soon_threadsafe", with_a_finalizer)
        sender.send(large)
        got = [await asyncio.wait_for(arrived.get(), 10) for _ in range(2)]
        assert got == [large, Frame({"number": 2})]
        sender.close()
        receiver.close()

    asyncio.run(run())


def test_what_is_sent_to_nobody_is_dropped_and_the_end_is_told_once() -> None:
    async def run() -> None:
        here, there = socket.socketpair()
        ends: list[None] = []
        link = Link(here, lambda frame: None, lambda: ends.append(None))
        there.close()
        link.send(Frame({"type": "log"}))
        while not ends:
            await asyncio.sleep(0)
        link.send(Frame({"type": "log"}))
        link.close()
        assert len(ends) == 1

    asyncio.run(run())


@pytest.mark.parametrize(
    "sent",
    [
        b"\xde\xad\xbe\xef" * 10,
        _LENGTHS.pack(5, 0) + b"nope!",
        _LENGTHS.pack(2, 0) + b"[]",
        _LENGTHS.pack(4, 0) + b"\xff\xff\xff\xff",
        _LENGTHS.pack(2, 2**31) + b"{}",
    ],
    ids=["lengths", "no JSON", "no object", "no text", "payload"],
)
def test_bytes_that_are_no_frame_close_the_link_and_are_told(sent: bytes) -> None:
    async def scenario() -> tuple[list[Exception], bool]:
        here, there = socket.socketpair()
        told: list[Exception] = []
        ended = asyncio.Event()
        Link(here, lambda frame: None, ended.set, told.append)
        there.sendall(sent)
        await asyncio.wait_for(ended.wait(), 5)
        there.close()
        return told, ended.is_set()

    told, is_closed = asyncio.run(scenario())

    assert len(told) == 1
    assert is_closed
