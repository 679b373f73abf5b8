"""Plain 8-bit grey and RGB PNGs at a third of the usual price; every other file is left alone.

Most of the time from a PNG is spent inflating it and undoing its line filters: libdeflate does
the first and compiled loops the second. Not a decoder of its own: whatever is unusual or wrong
goes to the decoder of record, which reads it or says what is the matter.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Final

import numpy as np

from detection.protocol import UInt8Array

_MAGIC_BYTES: Final = 8
# Chunks that change no pixel, with the length the standard gives them. Whatever is not named here
# (transparency, animation, EXIF, colour profiles, compressed text) makes a file unusual.
_HARMLESS: Final = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"pHYs": 9, b"tIME": 7}
# Text under other names may say which way is up: EXIF and XMP are hidden in it by some writers.
_HARMLESS_TEXT: Final = re.compile(
    rb"(Title|Author|Description|Copyright|Creation Time|Software|Disclaimer|Warning|Source"
    rb"|Comment|date:(create|modify|timestamp))\x00"
)
_CHANNELS: Final = {(8, 0): 1, (8, 2): 3}  # (bit depth, colour type) of plain grey and plain RGB
_DEFLATE_32K: Final = b"\x78"  # how a stream begins that may look back 32 KiB, as nearly all do


@dataclass(frozen=True, slots=True)
class PlainPng:
    """A PNG that holds nothing but one 8-bit grey or RGB picture, not yet inflated.

    Attributes:
        width: Pixels.
        height: Pixels.
        channels: 1 or 3.
        stream: The zlib stream of all IDAT chunks.
    """

    width: int
    height: int
    channels: int
    stream: bytes


def read_plain_header(data: bytes) -> PlainPng | None:
    """Return the file's parts where it is a plain PNG, None for any other.

    Args:
        data: The whole file, already found complete and with right check sums.

    Returns:
        Nothing is inflated yet, so that the caller may refuse the size first.

    Source: W3C Portable Network Graphics (Third Edition), sections 5 and 11.
    """
    header: tuple[int, ...] | None = None
    parts: list[bytes] = []
    position, before = _MAGIC_BYTES, b""
    while before != b"IEND":
        length, name = struct.unpack_from(">I4s", data, position)
        start, position = position + 8, position + 12 + length
        if name == b"IHDR" and header is None and length == 13 and not before:
            header = struct.unpack_from(">IIBBBBB", data, start)
        elif header is None:
            return None
        elif name == b"IDAT" and (not parts or before == b"IDAT"):
            parts.append(data[start : start + length])
        elif name != b"IEND" and not _is_harmless(name, data[start : start + length]):
            return None
        before = name
    if header is None or not parts:
        return None
    width, height, depth, colour, compression, filtering, interlace = header
    channels = _CHANNELS.get((depth, colour))
    if channels is None or compression or filtering or interlace or not width or not height:
        return None
    stream = parts[0] if len(parts) == 1 else b"".join(parts)
    return PlainPng(width, height, channels, stream) if stream[:1] == _DEFLATE_32K else None


def _is_harmless(name: bytes, body: bytes) -> bool:
    if name == b"tEXt":
        return _HARMLESS_TEXT.match(body) is not None
    return _HARMLESS.get(name) == len(body)


def read_plain_pixels(plain: PlainPng) -> UInt8Array | None:
    """Return the picture, or None where anything in it is not as the standard has it.

    Args:
        plain: What ``read_plain_header`` found, of a size that may be held in memory.

    Returns:
        ``(height, width, 3)`` uint8 RGB, owned by the caller; grey three times.

    Source: W3C Portable Network Graphics (Third Edition), section 9; the loops are ours.
    """
    import deflate

    from detection.png_kernels import grey_to_rgb, undo_filters

    length = plain.width * plain.channels
    size = plain.height * (1 + length)
    try:
        lines = deflate.zlib_decompress(plain.stream, size)
    except (deflate.DeflateError, MemoryError):
        return None
    if len(lines) != size:
        return None
    filtered = np.frombuffer(lines, np.uint8).reshape(plain.height, 1 + length)
    rows = np.empty((plain.height, length), np.uint8)
    if not undo_filters(filtered, rows, plain.channels):
        return None
    if plain.channels == 3:
        return rows.reshape(plain.height, plain.width, 3)
    pixels = np.empty((plain.height, plain.width, 3), np.uint8)
    grey_to_rgb(rows, pixels)
    return pixels
