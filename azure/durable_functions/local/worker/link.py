"""Frames on the socket between host and worker.

A frame is two lengths (header, payload; 4 bytes each, big endian), a JSON object, raw bytes. User
texts travel as payload, so that they are neither parsed nor escaped on the way.
"""

from __future__ import annotations

import asyncio
import json
import struct
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


async def read(reader: asyncio.StreamReader) -> Frame | None:
    """The next frame; None when the other side is gone."""
    try:
        header_length, payload_length = _LENGTHS.unpack(await reader.readexactly(_LENGTHS.size))
        header = json.loads(await reader.readexactly(header_length))
        payload = await reader.readexactly(payload_length) if payload_length else b""
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return Frame(header, payload)
