"""The decoder child: looks at one image at a time and answers, until its line closes.

Run as ``python -m inspection.intake.child`` with a socket as standard input. Knows no Django,
no settings, no database, and is given no secret.
"""

import io
import resource
import socket
import time
from typing import Any, Final

import numpy as np
from PIL import Image

from detection.decoding import DecodeError, decode_with_facts, encode_preview
from detection.protocol import UInt8Array
from inspection.intake.frames import BrokenFrameError, receive_frame, send_frame

MEMORY_BYTES: Final = 3 * 1024**3  # 50 million pixels of 16-bit grey need 1.2 GB on the way
CPU_S: Final = 30  # of one image; the parent's own limit is wall time
PREVIEW_SIDE_PX: Final = 1024
THUMBNAIL_SIDE_PX: Final = 256
CONTENT_TYPES: Final = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "TIFF": "image/tiff",
    "BMP": "image/bmp",
}


def examine(data: bytes, *, bit_depth: int | None) -> tuple[dict[str, Any], list[bytes]]:
    """Return an image's facts, and the bytes of its preview, thumbnail and (if any) copy.

    The copy is the upright 8-bit picture, made only where the stored pixels are something else
    or no browser draws the format.

    Raises:
        DecodeError: The image is refused.
    """
    pixels, facts = decode_with_facts(data, bit_depth=bit_depth)
    height, width = pixels.shape[:2]
    found: dict[str, Any] = {
        "width": width,
        "height": height,
        "content_type": CONTENT_TYPES[facts.format],
    }
    files = [
        encode_preview(pixels, max_side=PREVIEW_SIDE_PX),
        encode_preview(_reduced(pixels), max_side=THUMBNAIL_SIDE_PX),
    ]
    if facts.needs_copy or not facts.browser_shows:
        files.append(_upright_copy(pixels, is_jpeg=facts.format == "JPEG"))
    return found, files


def _reduced(pixels: UInt8Array) -> UInt8Array:
    """Return the pixels shrunk by a whole step, to no less than 1.5 times a thumbnail's side.

    The fine filter on all of 900 x 900 pixels costs 12 ms, after this step a third.
    """
    step = max(pixels.shape[:2]) * 2 // (3 * THUMBNAIL_SIDE_PX)
    step = min(step, *pixels.shape[:2])  # a very long picture keeps its short side
    return pixels if step < 2 else np.asarray(Image.fromarray(pixels).reduce(step))


def _upright_copy(pixels: UInt8Array, *, is_jpeg: bool) -> bytes:
    """Return the pixels as a file: lossless, but for a JPEG, whose noise a PNG would keep dear."""
    buffer = io.BytesIO()
    picture = Image.fromarray(pixels)
    if is_jpeg:
        picture.save(buffer, format="JPEG", quality=95, subsampling=0)
    else:
        picture.save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def answer(request: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the frame that answers a request; a refusal is an answer too."""
    bit_depth = request.get("bit_depth")
    try:
        facts, files = examine(data, bit_depth=bit_depth)
    except DecodeError as error:
        return {"refused": error.code, "message": error.message}, b""
    except MemoryError:
        message = "The image needs more memory than there is. Scale it down."
        return {"refused": "too_large", "message": message}, b""
    return {"facts": facts, "lengths": [len(file) for file in files]}, b"".join(files)


def limit_resources() -> None:
    """Cap this process: memory, no file written, no core dump."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def limit_cpu() -> None:
    """Allow ``CPU_S`` from now: the limit counts from the process's start, so it moves along."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + CPU_S + 1, hard))


def serve(line: socket.socket) -> None:
    """Answer requests until the parent closes the line or dies."""
    while True:
        try:
            request, data = receive_frame(line)
        except (BrokenFrameError, OSError):
            return
        limit_cpu()
        header, body = answer(request, data)
        try:
            send_frame(line, header, body)
        except OSError:
            return


if __name__ == "__main__":
    limit_resources()
    with socket.socket(fileno=0) as parent:
        serve(parent)
