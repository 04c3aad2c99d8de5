"""Frames on the socket between host and worker.

A frame is two lengths (header, payload; 4 bytes each, big endian), a JSON object, raw bytes. User
texts travel as payload, so that they are neither parsed nor escaped on the way.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

_LENGTHS = struct.Struct(">II")
_compact = json.JSONEncoder(separators=(",", ":")).encode


class Frame(NamedTuple):
    """One message."""

    header: dict[str, Any]
    payload: bytes = b""


def encode(frame: Frame) -> bytes:
    """The frame's bytes."""
    header = _compact(frame.header).encode()
    return _LENGTHS.pack(len(header), len(frame.payload)) + header + frame.payload


class Link(asyncio.Protocol):
    """One side of the socket.

    A frame is handed on in the turn of the event loop that has read its last byte: a stream and a
    task that reads from it take two turns more, 0.1 ms of each call.
    """

    def __init__(self, on_frame: Callable[[Frame], object], on_end: Callable[[], object]) -> None:
        """Prepare; `connect` does the work.

        Args:
            on_frame: Receives frames as they come.
            on_end: Called once, when the other side is gone or this one has closed.
        """
        self._on_frame = on_frame
        self._on_end = on_end
        self._received = bytearray()
        self._transport: asyncio.Transport

    @classmethod
    async def connect(
        cls,
        connection: socket.socket,
        on_frame: Callable[[Frame], object],
        on_end: Callable[[], object],
    ) -> Link:
        """Begin to read from a connected socket."""
        loop = asyncio.get_running_loop()
        _, link = await loop.create_connection(lambda: cls(on_frame, on_end), sock=connection)
        return link

    def send(self, frame: Frame) -> None:
        """Send a frame; what cannot be written at once is kept until it can."""
        self._transport.write(encode(frame))

    def close(self) -> None:
        """Send what waits, then close the socket."""
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of the protocol."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of the protocol."""
        self._on_end()

    def data_received(self, data: bytes) -> None:
        """Hand on every frame that is complete."""
        received = self._received
        received += data
        first = 0
        while len(received) - first >= _LENGTHS.size:
            header_length, payload_length = _LENGTHS.unpack_from(received, first)
            begin = first + _LENGTHS.size
            middle = begin + header_length
            end = middle + payload_length
            if len(received) < end:
                break
            header = json.loads(received[begin:middle])
            self._on_frame(Frame(header, bytes(received[middle:end])))
            first = end
        if first:
            del received[:first]
