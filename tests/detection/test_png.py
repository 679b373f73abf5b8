import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from detection.decoding import decode_image
from detection.png import read_plain_header, read_plain_pixels
from detection.png_kernels import undo_filters
from detection.protocol import UInt8Array
from tests import images
from tests.detection.test_compiled_decoding import outcome

MAGIC = b"\x89PNG\r\n\x1a\n"


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def header(
    width: int, height: int, colour: int = 2, *, depth: int = 8, interlace: int = 0
) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))


def filtered_lines(pixels: UInt8Array, kinds: list[int]) -> bytes:
    """The standard's five filters, byte by byte, as slow as they are plain."""
    height, width = pixels.shape[:2]
    step = pixels[0, 0].size
    rows = pixels.reshape(height, width * step).astype(int)
    lines = bytearray()
    for y in range(height):
        lines.append(kinds[y])
        for at in range(width * step):
            left = rows[y, at - step] if at >= step else 0
            up = rows[y - 1, at] if y else 0
            corner = rows[y - 1, at - step] if y and at >= step else 0
            guess = left + up - corner
            distances = (abs(guess - left), abs(guess - up), abs(guess - corner))
            paeth = (left, up, corner)[distances.index(min(distances))]
            expected = (0, left, up, (left + up) // 2, paeth)[kinds[y]]
            lines.append((rows[y, at] - expected) % 256)
    return bytes(lines)


def png_of(pixels: UInt8Array, kinds: list[int], *extra: bytes) -> bytes:
    colour = 2 if pixels.ndim == 3 else 0
    stream = zlib.compress(filtered_lines(pixels, kinds))
    half = len(stream) // 2
    return b"".join(
        (
            MAGIC,
            header(pixels.shape[1], pixels.shape[0], colour),
            *extra,
            chunk(b"IDAT", stream[:half]),
            chunk(b"IDAT", stream[half:]),
            chunk(b"IEND", b""),
        )
    )


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(1, 6),
    width=st.integers(1, 9),
    is_grey=st.booleans(),
    spread=st.sampled_from([2, 256]),
    data=st.data(),
)
def test_every_filter_is_undone(
    seed: int, height: int, width: int, is_grey: bool, spread: int, data: st.DataObject
) -> None:
    shape = (height, width) if is_grey else (height, width, 3)
    pixels = np.random.default_rng(seed).integers(0, spread, shape, dtype=np.uint8)
    kinds = data.draw(st.lists(st.integers(0, 4), min_size=height, max_size=height))
    plain = read_plain_header(png_of(pixels, kinds))
    assert plain is not None
    decoded = read_plain_pixels(plain)
    wanted = np.repeat(pixels[:, :, None], 3, axis=2) if is_grey else pixels
    np.testing.assert_array_equal(decoded, wanted)


@pytest.mark.parametrize("is_grey", [False, True])
def test_plain_files_come_back_as_from_the_decoder_of_record(is_grey: bool) -> None:
    pixels = images.part_pixels(4, height=90, width=130, defect=True)
    text = PngImagePlugin.PngInfo()
    text.add_text("Software", "line camera")
    buffer = io.BytesIO()
    stored = pixels[:, :, 1] if is_grey else pixels
    Image.fromarray(stored).save(buffer, format="PNG", pnginfo=text, dpi=(300, 300))
    data = buffer.getvalue()
    assert read_plain_header(data) is not None
    decoded = decode_image(data, compiled=True)
    assert decoded.flags.c_contiguous
    assert decoded.flags.writeable
    np.testing.assert_array_equal(decoded, decode_image(data))


def test_unusual_files_are_left_to_the_decoder_of_record() -> None:
    pixels = images.part_pixels(4, height=40, width=50)
    turned = Image.Exif()
    turned[0x0112] = 6
    hidden = chunk(b"tEXt", b"Raw profile type exif\x00\nexif\n 1\n00")
    injected = chunk(b"tEXt", b"transparency\x00x")
    unusual = {
        "exif": images.encode(pixels, exif=turned),
        "hidden exif": png_of(pixels, [0] * 40, hidden),
        "injected key": png_of(pixels, [0] * 40, injected),
        "palette": images.palette_png(),
        "transparent": images.transparent_png(),
        "transparent colour": png_of(pixels, [0] * 40, chunk(b"tRNS", b"\x00\x01" * 3)),
        "16 bits": images.grey_16_bit(),
        "long gamma": png_of(pixels, [0] * 40, chunk(b"gAMA", b"\x00" * 5)),
        "header later": MAGIC + chunk(b"gAMA", b"\x00" * 4) + png_of(pixels, [0] * 40)[8:],
        "two headers": MAGIC + header(50, 40) + png_of(pixels, [0] * 40)[8:],
        "interlaced": MAGIC + header(50, 40, interlace=1) + png_of(pixels, [0] * 40)[33:],
        "no pixels": MAGIC + header(50, 40) + chunk(b"IEND", b""),
        "no width": MAGIC + header(0, 40) + png_of(pixels, [0] * 40)[33:],
    }
    for name, data in unusual.items():
        assert read_plain_header(data) is None, name
    assert decode_image(unusual["exif"], compiled=True).shape == (50, 40, 3)


def test_split_pixels_and_a_small_window_are_unusual() -> None:
    pixels = images.part_pixels(4, height=40, width=50)
    whole = png_of(pixels, [0] * 40)
    split = whole.replace(chunk(b"IEND", b""), chunk(b"gAMA", b"\x00" * 4) + chunk(b"IDAT", b"x"))
    assert read_plain_header(split + chunk(b"IEND", b"")) is None
    packer = zlib.compressobj(wbits=9)
    stream = packer.compress(filtered_lines(pixels, [0] * 40)) + packer.flush()
    small = MAGIC + header(50, 40) + chunk(b"IDAT", stream) + chunk(b"IEND", b"")
    assert read_plain_header(small) is None
    np.testing.assert_array_equal(decode_image(small, compiled=True), pixels)


@pytest.mark.parametrize(
    "stream",
    [
        zlib.compress(bytes(40 * 151))[:-1] + b"?",  # its own check sum is wrong
        zlib.compress(bytes(40 * 151 - 1)),  # too short
        zlib.compress(bytes(40 * 151 + 1)),  # too long
        zlib.compress(b"\x05" + bytes(40 * 151 - 1)),  # no such filter
        b"\x78\x9c not deflated",
    ],
)
def test_wrong_pixels_are_left_to_the_decoder_of_record(stream: bytes) -> None:
    data = MAGIC + header(50, 40) + chunk(b"IDAT", stream) + chunk(b"IEND", b"")
    plain = read_plain_header(data)
    assert plain is not None
    assert read_plain_pixels(plain) is None
    assert outcome(data, compiled=True) == outcome(data, compiled=False)


def test_loops_name_an_unknown_filter() -> None:
    lines = np.zeros((2, 7), np.uint8)
    lines[1, 0] = 9
    assert not undo_filters(lines, np.empty((2, 6), np.uint8), 3)


def test_sizes_are_refused_before_anything_is_inflated() -> None:
    data = MAGIC + header(100_000, 100_000) + chunk(b"IDAT", b"\x78\x9c") + chunk(b"IEND", b"")
    assert read_plain_header(data) is not None
    assert outcome(data, compiled=True) == outcome(data, compiled=False) == "too_large"
