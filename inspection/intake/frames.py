"""How parent and decoder child talk: a JSON header and raw bytes, both with their length.

Nothing is unpickled: a child that has eaten hostile bytes must not be able to run code in its
parent.
"""

import json
import socket
import struct
import time
from typing import Any, Final

_LENGTHS: Final = struct.Struct(">IQ")
MAX_HEADER_BYTES: Final = 64 * 1024
MAX_BODY_BYTES: Final = 1024 * 1024 * 1024


class BrokenFrameError(Exception):
    """The other side closed the line or sent what is no frame."""


def send_frame(
    line: socket.socket, header: dict[str, Any], body: bytes, *, timeout_s: float | None = None
) -> None:
    """Send one frame.

    Raises:
        TimeoutError: The other side did not take it in time.
        OSError: The other side is gone.
    """
    line.settimeout(timeout_s)
    head = json.dumps(header).encode()
    line.sendall(_LENGTHS.pack(len(head), len(body)) + head)
    if body:
        line.sendall(body)


def receive_frame(
    line: socket.socket, *, timeout_s: float | None = None
) -> tuple[dict[str, Any], bytes]:
    """Return the next frame's header and body.

    Raises:
        TimeoutError: It did not come in time.
        BrokenFrameError: The line was closed, or this is no frame.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    head_length, body_length = _LENGTHS.unpack(_receive(line, _LENGTHS.size, deadline))
    if head_length > MAX_HEADER_BYTES or body_length > MAX_BODY_BYTES:
        raise BrokenFrameError("lengths out of range")
    head = _receive(line, head_length, deadline)
    body = _receive(line, body_length, deadline)
    try:
        header = json.loads(head)
    except ValueError as error:
        raise BrokenFrameError("the header is no JSON") from error
    if not isinstance(header, dict):
        raise BrokenFrameError("the header is no object")
    return header, bytes(body)


def _receive(line: socket.socket, length: int, deadline: float | None) -> bytearray:
    buffer = bytearray(length)
    view = memoryview(buffer)
    done = 0
    while done < length:
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            line.settimeout(left)
        got = line.recv_into(view[done:])
        if got == 0:
            raise BrokenFrameError("the line was closed")
        done += got
    return buffer
