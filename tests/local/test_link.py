"""Frames between host and worker."""

from __future__ import annotations

import asyncio
import socket

from hypothesis import given
from hypothesis import strategies as st

from azure.durable_functions.local.worker.link import Frame, Link, encode

HEADERS = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=20), max_size=3)
FRAMES = st.lists(st.builds(Frame, HEADERS, st.binary(max_size=200)), max_size=6)


@given(FRAMES, st.data())
def test_frames_arrive_whole_however_the_socket_cuts_them(
    frames: list[Frame], data: st.DataObject
) -> None:
    sent = b"".join(encode(frame) for frame in frames)
    places = data.draw(st.lists(st.integers(0, len(sent)), max_size=10).map(sorted))
    arrived: list[Frame] = []
    link = Link(arrived.append, lambda: None)
    for first, last in zip([0, *places], [*places, len(sent)], strict=True):
        link.data_received(sent[first:last])
    assert arrived == frames


def test_what_the_socket_cannot_take_at_once_arrives_all_the_same() -> None:
    async def run() -> None:
        here, there = socket.socketpair()
        large = Frame({"type": "result"}, b"x" * 5_000_000)
        arrived: asyncio.Queue[Frame] = asyncio.Queue()
        sender = await Link.connect(here, arrived.put_nowait, lambda: None)
        has_ended = asyncio.Event()
        receiver = await Link.connect(there, arrived.put_nowait, has_ended.set)
        sender.send(large)
        sender.send(Frame({"type": "log"}))
        sender.close()
        await asyncio.wait_for(has_ended.wait(), 10)
        assert [await arrived.get(), await arrived.get()] == [large, Frame({"type": "log"})]
        receiver.close()

    asyncio.run(run())
