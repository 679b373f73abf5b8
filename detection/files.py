"""What a file's bytes tell before a decoder sees them: its format, and whether all of it is there.

Decoders take half a JPEG, or one whose end was never written, as whole: this module does not.
"""

import re
import struct
import zlib
from typing import Final

from detection.protocol import DetectionError

ZERO_TAIL_SHARE: Final = 0.125  # of an uncompressed file; sensor noise never leaves that dark
END_ZEROS_SHARE: Final = 0.01  # of a PNG or JPEG found broken: names the cause, not the fault

_PNG_MAGIC: Final = b"\x89PNG\r\n\x1a\n"
_MAGICS: Final = (
    (_PNG_MAGIC, "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"BM", "BMP"),
)
# Known to people, not read here: named in the message instead of a bare "not an image".
_FOREIGN: Final = (
    (re.compile(rb"GIF8[79]a"), "GIF"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "WebP"),
    (re.compile(rb"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51"), "JPEG 2000"),
    (re.compile(rb"(II\+|MM\x00\+)"), "BigTIFF"),
    (re.compile(rb".{4}ftyp(heic|heix|mif1|avif)", re.DOTALL), "HEIC or AVIF"),
    (re.compile(rb"%PDF"), "PDF"),
    (re.compile(rb"PK\x03\x04"), "zip"),
    (re.compile(rb"\s*<(\?xml|svg|!doctype|html)", re.IGNORECASE), "SVG or HTML"),
)
_PNG_END: Final = b"\x00\x00\x00\x00IEND\xaeB`\x82"
# In entropy-coded JPEG data FF 00 is a stuffed byte, FF D0..D7 a restart, FF FF is fill.
_JPEG_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)


class DecodeError(DetectionError):
    """A file that is refused, with the reason for machines and for people.

    Attributes:
        code: Short, stable, for counting and for API answers, such as ``"truncated"``.
        message: One or two plain sentences: what is wrong and what to do.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)  # both as args, so that it survives a process border
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.message


def format_of(data: bytes) -> str:
    """Return ``"PNG"``, ``"JPEG"``, ``"TIFF"`` or ``"BMP"``, by the first bytes alone.

    Raises:
        DecodeError: Anything else.
    """
    for magic, name in _MAGICS:
        if data.startswith(magic):
            return name
    wanted = "Send PNG, JPEG, TIFF or BMP."
    for pattern, name in _FOREIGN:
        if pattern.match(data[:64]):
            raise DecodeError("format", f"This is a {name} file, which is not read. {wanted}")
    if not data.strip(b"\x00"):
        raise DecodeError("zero_tail", "The file holds only zeros: it was never written. Resend.")
    raise DecodeError("not_an_image", f"This is not an image file, whatever its name. {wanted}")


def check_whole(data: bytes, format_name: str) -> None:
    """Refuse a file whose end is not there yet: decoders take many of them as whole.

    Raises:
        DecodeError: Cut off, not fully written, or damaged in what carries pixels.
    """
    if format_name == "PNG":
        _check_png(data)
    elif format_name == "JPEG":
        _check_jpeg(data)
    elif _zero_tail_share(data) >= ZERO_TAIL_SHARE:
        percent = round(100 * _zero_tail_share(data))
        raise DecodeError(
            "zero_tail",
            f"The last {percent} % of the file are zeros, as in a file that is still being "
            "written. Send it again; if the picture really is black there, send it as PNG.",
        )


def truncated(what: str) -> DecodeError:
    """Return the error of a file that ends too early; ``what`` says how that shows."""
    return DecodeError(
        "truncated", f"The file is cut off: {what}. Send it again once it is fully written."
    )


def _unwritten() -> DecodeError:
    return DecodeError(
        "zero_tail", "The end of the file is zeros: it was not fully written. Send it again."
    )


def _check_png(data: bytes) -> None:
    """Walk the chunks to IEND; check sums of what carries pixels, which Pillow may skip."""
    position = len(_PNG_MAGIC)
    while True:
        header = data[position : position + 8]
        if len(header) < 8:
            raise truncated("its closing IEND chunk is missing")
        length, name = struct.unpack(">I4s", header)
        end = position + 12 + length
        if name == b"\x00\x00\x00\x00":
            raise _unwritten()
        if end > len(data):
            raise truncated("its closing IEND chunk is missing")
        if name == b"IEND":
            if data[position:end] != _PNG_END:
                raise DecodeError("damaged", "The PNG's last chunk is damaged. Send it again.")
            return
        if name in (b"IHDR", b"PLTE", b"IDAT", b"tRNS"):
            stored = int.from_bytes(data[end - 4 : end], "big")
            if zlib.crc32(data[position + 4 : end - 4]) != stored:
                if _zero_tail_share(data) > END_ZEROS_SHARE:
                    raise _unwritten()
                raise DecodeError(
                    "damaged", f"A check sum in the PNG is wrong ({name.decode()}). Send it again."
                )
        position = end


def _check_jpeg(data: bytes) -> None:
    """Walk the segments to the end marker, past thumbnails, which hold an end of their own."""
    position = 2
    while True:
        found = _JPEG_MARKER.search(data, position)
        if found is None:
            if _zero_tail_share(data) > END_ZEROS_SHARE:
                raise _unwritten()
            raise truncated("its end marker is missing")
        marker = data[found.start() + 1]
        position = found.end()
        if marker == 0xD9:
            return
        if marker in (0x01, 0xD8):  # markers that carry no length
            continue
        length = int.from_bytes(data[position : position + 2], "big")
        if length < 2 or position + length > len(data):
            raise truncated("a segment reaches past its end")
        position += length


def _zero_tail_share(data: bytes) -> float:
    return 1 - len(data.rstrip(b"\x00")) / len(data)
