"""Frames on the socket between host and worker.

A frame is two lengths (header, payload; 4 bytes each, big endian), a JSON object, raw bytes. User
texts travel as payload, so that they are neither parsed nor escaped on the way.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

_LENGTHS = struct.Struct(">II")
_MOST_AT_ONCE = 64 * 1024
_LONGEST_HEADER = 64 * 1024 * 1024
_LONGEST_PAYLOAD = 1024 * 1024 * 1024
_compact = json.JSONEncoder(separators=(",", ":")).encode


class Frame(NamedTuple):
    """One message."""

    header: Mapping[str, Any]
    """One of `frames`."""
    payload: bytes = b""


def encode(frame: Frame) -> bytes:
    """The frame's bytes."""
    header = _compact(frame.header).encode()
    return _LENGTHS.pack(len(header), len(frame.payload)) + header + frame.payload


class Link:
    """One side of the socket: frames come on the event loop, and go from any thread.

    Without a stream and a task that reads from it a frame is handed on in the turn of the loop that
    has read its last byte; a thread that sends by itself need not wake the loop. Together that is
    some 0.05 ms less for each call.
    """

    def __init__(
        self,
        connection: socket.socket,
        on_frame: Callable[[Frame], object],
        on_end: Callable[[], object],
        on_nonsense: Callable[[Exception], object] | None = None,
    ) -> None:
        """Begin to read, on the running loop.

        Args:
            connection: A connected socket; closed in the end.
            on_frame: Receives frames as they come. If it gives True, it receives the same one again
                when the loop has done what it has to do by now.
            on_end: Called once, when the other side is gone or this one has closed.
            on_nonsense: Receives why the other side's bytes make no sense; user code may have
                written to the wrong descriptor. The socket is closed then.
        """
        connection.setblocking(False)
        self._socket = connection
        self._on_frame = on_frame
        self._on_end = on_end
        self._on_nonsense = on_nonsense
        self._loop = asyncio.get_running_loop()
        self._process_id = os.getpid()
        # Re-entrant, because a finalizer that runs in the middle of a call may log.
        self._lock = threading.RLock()
        self._is_open = True
        self._received = bytearray()
        self._unsent = bytearray()
        self._loop.add_reader(connection, self._read)

    def send(self, frame: Frame) -> None:
        """Send a frame; what the socket does not take at once is kept until it does.

        A child that user code has forked shares the socket, but knows nothing of half a frame that
        its parent has sent, nor of its lock: what it logs is dropped.
        """
        self.prepare(frame)()

    def prepare(self, frame: Frame) -> Callable[[], None]:
        """Encode a frame now; calling what is given, from any thread, sends it."""
        data = encode(frame)
        return lambda: self._send(data)

    def _send(self, data: bytes) -> None:
        if os.getpid() != self._process_id:
            return
        with self._lock:
            if not self._is_open:
                return
            is_waiting = bool(self._unsent)
            self._unsent += data if is_waiting else data[self._write(data) :]
            if self._unsent and not is_waiting:
                self._loop.call_soon_threadsafe(self._watch_writable)

    def close(self) -> None:
        """Close the socket; what waits to be sent is dropped."""
        with self._lock:
            if not self._is_open:
                return
            self._is_open = False
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._socket.close()
        self._on_end()

    def _write(self, data: bytes | bytearray) -> int:
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError:  # the other side is gone, which reading will tell
            return len(data)

    def _watch_writable(self) -> None:
        with self._lock:
            if self._is_open:
                self._loop.add_writer(self._socket, self._write_more)

    def _write_more(self) -> None:
        with self._lock:
            del self._unsent[: self._write(self._unsent)]
            if not self._unsent:
                self._loop.remove_writer(self._socket)

    def _read(self) -> None:
        try:
            data = self._socket.recv(_MOST_AT_ONCE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._received += data
            self._hand_on_or_close()
        else:
            self.close()

    def _hand_on_or_close(self) -> None:
        try:
            self._hand_on()
        except Exception as error:  # what comes behind it can be told from nothing any more
            self._received.clear()
            if self._on_nonsense is not None:
                self._on_nonsense(error)
            self.close()

    def _hand_on(self) -> None:
        received, first = self._received, 0
        try:
            while len(received) - first >= _LENGTHS.size:
                header_length, payload_length = _LENGTHS.unpack_from(received, first)
                begin = first + _LENGTHS.size
                middle = begin + header_length
                end = middle + payload_length
                if header_length > _LONGEST_HEADER or payload_length > _LONGEST_PAYLOAD:
                    raise ValueError(f"a frame of {header_length} and {payload_length} bytes")
                if len(received) < end:
                    break
                start, first = first, end
                header = json.loads(received[begin:middle].decode())
                if not isinstance(header, dict):
                    raise ValueError("a frame whose header is no object")
                if self._on_frame(Frame(header, bytes(received[middle:end]))) is True:
                    first = start
                    self._loop.call_soon(self._hand_on_or_close)
                    break
        finally:
            del received[:first]
