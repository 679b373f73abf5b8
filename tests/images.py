"""Small synthetic parts and deliberately bad files, made from a seed, for every test.

Not a test itself, and no photograph: ``detection.samples`` makes the photo-like parts.
"""

import io
import struct
import zlib
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

UInt8Array = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]


def part_pixels(
    seed: int = 0, *, height: int = 96, width: int = 128, defect: bool = False
) -> UInt8Array:
    """A bright disc with a bore on a dark ground, noisy; a dark spot on it when ``defect``.

    Not square by default, so that a swapped axis shows. ``(height, width, 3)`` uint8 RGB.
    """
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    side = min(height, width)
    centre_y = height / 2 + rng.uniform(-1.5, 1.5)
    centre_x = width / 2 + rng.uniform(-1.5, 1.5)
    radius = np.hypot(rows - centre_y, columns - centre_x)
    grey = np.full((height, width), 55.0)
    grey[radius < 0.42 * side] = 165.0
    grey[radius < 0.16 * side] = 40.0
    if defect:
        grey[spot_mask(seed, height=height, width=width)] = 80.0
    grey += rng.normal(0, 3.0, grey.shape) + rng.uniform(-4, 4)
    pixels = np.clip(np.rint(grey), 1, 254).astype(np.uint8)
    return np.repeat(pixels[:, :, None], 3, axis=2)


def spot_mask(seed: int = 0, *, height: int = 96, width: int = 128) -> BoolArray:
    """Where ``part_pixels(seed, defect=True)`` has its spot: ``(height, width)`` bool."""
    angle = np.random.default_rng([seed, 1]).uniform(0, 2 * np.pi)
    side = min(height, width)
    rows, columns = np.mgrid[0:height, 0:width]
    spot_y = height / 2 + 0.29 * side * np.sin(angle)
    spot_x = width / 2 + 0.29 * side * np.cos(angle)
    return np.asarray(np.hypot(rows - spot_y, columns - spot_x) < 0.07 * side)


def encode(pixels: npt.NDArray[np.generic], format_name: str = "PNG", **options: object) -> bytes:
    """The pixels as a file of that format; options go to Pillow's ``save``."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format=format_name, **options)
    return buffer.getvalue()


def good_png(seed: int = 0, *, defect: bool = False) -> bytes:
    """A whole PNG of 128 x 96 pixels; another seed gives other bytes."""
    return encode(part_pixels(seed, defect=defect))


def good_jpeg(seed: int = 0, *, defect: bool = False) -> bytes:
    """A whole JPEG of 128 x 96 pixels."""
    return encode(part_pixels(seed, defect=defect), "JPEG", quality=92)


def half_jpeg(seed: int = 0) -> bytes:
    """A JPEG whose second half has not arrived."""
    data = good_jpeg(seed)
    return data[: len(data) // 2]


def half_png(seed: int = 0) -> bytes:
    """A PNG whose second half has not arrived."""
    data = good_png(seed)
    return data[: len(data) // 2]


def zero_tail(data: bytes, share: float = 0.5) -> bytes:
    """The file as a preallocating writer leaves it: full length, the end still zeros."""
    kept = int(len(data) * (1 - share))
    return data[:kept] + bytes(len(data) - kept)


def zero_tail_jpeg(seed: int = 0) -> bytes:
    """A JPEG of full length whose second half is zeros; some decoders take it as whole."""
    return zero_tail(good_jpeg(seed))


def zero_tail_jpeg_with_thumbnail() -> bytes:
    """The same with a whole thumbnail inside: its end marker is not the picture's."""
    thumbnail = encode(part_pixels(height=32, width=32), "JPEG")
    payload = b"JFXX\x00\x10" + thumbnail
    segment = b"\xff\xe0" + struct.pack(">H", len(payload) + 2) + payload
    data = good_jpeg()
    return zero_tail(data[:2] + segment + data[2:], share=0.3)


def grey_16_bit(format_name: str = "PNG", *, bits: int = 12) -> bytes:
    """A 16-bit grey file that uses only ``bits`` of them, as industrial cameras write."""
    grey = part_pixels()[:, :, 0].astype(np.uint32)
    return encode((grey * ((1 << bits) - 1) // 255).astype(np.uint16), format_name)


def cmyk_jpeg() -> bytes:
    """A four-colour print JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(part_pixels()).convert("CMYK").save(buffer, format="JPEG")
    return buffer.getvalue()


def rotated_jpeg(orientation: int = 6) -> bytes:
    """A JPEG stored as ``part_pixels()`` whose EXIF says that it is to be turned."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(part_pixels(), "JPEG", quality=95, exif=exif)


def palette_png() -> bytes:
    """A PNG with a palette of 64 colours."""
    buffer = io.BytesIO()
    Image.fromarray(part_pixels()).quantize(64).save(buffer, format="PNG")
    return buffer.getvalue()


def transparent_png() -> bytes:
    """An RGBA PNG: left half opaque white, right half fully transparent white."""
    pixels = np.full((48, 64, 4), 255, dtype=np.uint8)
    pixels[:, 32:, 3] = 0
    return encode(pixels)


def bomb_png(width: int = 30_000, height: int = 30_000) -> bytes:
    """A tiny PNG that declares a huge size: a decompression bomb by its header."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return _png(header, zlib.compress(bytes(64)))


def several_pages_tiff() -> bytes:
    """A TIFF with three pages."""
    pages = [Image.fromarray(part_pixels(seed)) for seed in range(3)]
    buffer = io.BytesIO()
    pages[0].save(buffer, format="TIFF", save_all=True, append_images=pages[1:])
    return buffer.getvalue()


def animated_gif() -> bytes:
    """A GIF, a format that is not read."""
    frames = [Image.fromarray(part_pixels(seed)) for seed in range(2)]
    buffer = io.BytesIO()
    frames[0].save(buffer, format="GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def flipped_bit_png(seed: int = 0) -> bytes:
    """A PNG with one bit of its pixel data turned over."""
    data = bytearray(good_png(seed))
    data[len(data) // 2] ^= 0x10
    return bytes(data)


def _png(header: bytes, body: bytes) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        check = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)

    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


# Name -> (how to make it, the code it must be refused with).
BAD_FILES: Final[dict[str, tuple[Callable[[], bytes], str]]] = {
    "empty.jpg": (lambda: b"", "empty"),
    "text.jpg": (lambda: b"hello, I am text", "not_an_image"),
    "page.jpg": (lambda: b"<!doctype html><title>no</title>", "format"),
    "animated.gif": (animated_gif, "format"),
    "only_zeros.png": (lambda: bytes(5000), "zero_tail"),
    "only_magic.png": (lambda: good_png()[:8], "truncated"),
    "half.jpg": (half_jpeg, "truncated"),
    "half.png": (half_png, "truncated"),
    "minus_one_byte.jpg": (lambda: good_jpeg()[:-1], "truncated"),
    "minus_one_byte.png": (lambda: good_png()[:-1], "truncated"),
    "half.bmp": (lambda: _half(encode(part_pixels(), "BMP")), "truncated"),
    "half.tif": (lambda: _half(encode(part_pixels(), "TIFF")), "truncated"),
    "zero_tail.jpg": (zero_tail_jpeg, "zero_tail"),
    "zero_tail_thumbnail.jpg": (zero_tail_jpeg_with_thumbnail, "zero_tail"),
    "zero_tail.png": (lambda: zero_tail(good_png()), "zero_tail"),
    "zero_tail.bmp": (lambda: zero_tail(encode(part_pixels(), "BMP")), "zero_tail"),
    "zero_tail.tif": (lambda: zero_tail(encode(part_pixels(), "TIFF")), "zero_tail"),
    "flipped_bit.png": (flipped_bit_png, "damaged"),
    "grey_16_bit.png": (grey_16_bit, "bit_depth_missing"),
    "cmyk.jpg": (cmyk_jpeg, "colour_mode"),
    "float.tif": (lambda: encode(np.ones((48, 64), np.float32), "TIFF"), "colour_mode"),
    "bomb.png": (bomb_png, "too_large"),
    "bomb_60_megapixels.png": (lambda: bomb_png(10_000, 6_000), "too_large"),
    "long.png": (lambda: bomb_png(20_001, 40), "too_large"),
    "tiny.png": (lambda: encode(part_pixels(height=31, width=64)), "too_small"),
    "pages.tif": (several_pages_tiff, "several_frames"),
}


def _half(data: bytes) -> bytes:
    return data[: len(data) // 2]
