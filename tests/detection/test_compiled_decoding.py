"""The faster ways to decode against the decoder of record: the same pixels, the same refusals."""

import io

import numpy as np
import pytest
from PIL import Image

from detection.decoding import DecodeError, decode_image
from tests import images
from tests.detection.test_decoding import BAD_INPUTS


def outcome(data: bytes, *, compiled: bool) -> str | bytes:
    """The pixels, or the reason why there are none."""
    try:
        return decode_image(data, compiled=compiled).tobytes()
    except DecodeError as error:
        return error.code


def jpeg(mode: str, height: int, width: int, **settings: object) -> bytes:
    buffer = io.BytesIO()
    picture = Image.fromarray(images.part_pixels(8, height=height, width=width)).convert(mode)
    picture.save(buffer, format="JPEG", **settings)
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize(
    "options",
    [
        {"quality": 30},
        {"quality": 92, "progressive": True},
        {"quality": 100, "restart_marker_rows": 3},
        {"quality": 75, "keep_rgb": True},
    ],
)
def test_a_jpeg_has_the_same_pixels_on_both_ways(
    mode: str, subsampling: int, options: dict[str, object]
) -> None:
    if options.get("keep_rgb") and (mode == "L" or subsampling):
        options = {"quality": 75}  # RGB stored as such is neither grey nor subsampled
    for height, width in ((96, 128), (67, 101), (33, 640)):
        data = jpeg(mode, height, width, subsampling=subsampling, **options)
        decoded = decode_image(data, compiled=True)
        assert decoded.flags.c_contiguous
        assert decoded.flags.writeable
        np.testing.assert_array_equal(decoded, decode_image(data))


def test_a_turned_jpeg_is_turned_on_both_ways() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = jpeg("RGB", 96, 128, exif=exif)
    assert decode_image(data, compiled=True).shape == (128, 96, 3)
    assert outcome(data, compiled=True) == outcome(data, compiled=False)


def test_damaged_jpegs_end_alike_on_both_ways() -> None:
    rng = np.random.default_rng(3)
    whole = jpeg("RGB", 67, 101)
    ends = set()
    for _ in range(150):
        data = bytearray(whole)
        data[rng.integers(2, len(whole))] ^= int(rng.integers(1, 256))
        ours, record = (outcome(bytes(data), compiled=way) for way in (True, False))
        assert ours == record
        ends.add(type(ours))
    assert ends == {str, bytes}


@pytest.mark.parametrize("name", sorted(images.BAD_FILES))
def test_bad_files_end_alike_on_both_ways(name: str) -> None:
    make, code = images.BAD_FILES[name]
    assert outcome(make(), compiled=True) == code


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow grumbles about broken tags
def test_collected_bad_inputs_end_alike_on_both_ways() -> None:
    suffixes = {".png", ".jpg", ".jpeg"}
    listed = sorted(path for path in BAD_INPUTS.rglob("*") if path.suffix.lower() in suffixes)
    if not listed:
        pytest.skip("needs the bad-input files")
    decoded = 0
    for path in listed:
        data = path.read_bytes()
        ours = outcome(data, compiled=True)
        assert ours == outcome(data, compiled=False), path
        decoded += isinstance(ours, bytes)
    assert decoded > 50
