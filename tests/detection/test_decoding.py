import copy
import csv
import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detection.decoding import DecodeError, decode_image, encode_preview, inspect_image
from tests import images

BAD_INPUTS = Path(
    os.environ.get("SECONDLOOK_BADINPUTS_DIR", Path(__file__).parents[3] / "shared" / "badinputs")
)


@pytest.mark.parametrize("format_name", ["PNG", "BMP", "TIFF"])
def test_lossless_formats_come_back_exactly(format_name: str) -> None:
    pixels = images.part_pixels(3)
    decoded = decode_image(images.encode(pixels, format_name))
    assert decoded.dtype == np.uint8
    assert decoded.flags.c_contiguous
    assert decoded.flags.writeable
    np.testing.assert_array_equal(decoded, pixels)


def test_jpeg_comes_back_nearly(tmp_path: Path) -> None:
    path = tmp_path / "part.png"  # named wrongly on purpose: the first bytes decide
    path.write_bytes(images.good_jpeg(3))
    decoded = decode_image(path)
    assert decoded.shape == (96, 128, 3)
    assert np.abs(decoded.astype(int) - images.part_pixels(3)).mean() < 4


def test_grey_has_three_equal_channels() -> None:
    grey = images.part_pixels()[:, :, 0]
    decoded = decode_image(images.encode(grey))
    np.testing.assert_array_equal(decoded, np.repeat(grey[:, :, None], 3, axis=2))


def test_palette_is_resolved() -> None:
    decoded = decode_image(images.palette_png())
    assert np.abs(decoded.astype(int) - images.part_pixels()).mean() < 6
    assert inspect_image(images.palette_png()).needs_copy


def test_transparent_pixels_show_the_stated_ground() -> None:
    decoded = decode_image(images.transparent_png(), ground_rgb=(10, 20, 30))
    assert decoded[5, 5].tolist() == [255, 255, 255]
    assert decoded[5, 50].tolist() == [10, 20, 30]


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("orientation", range(10))
def test_orientation_is_turned_once(orientation: int, format_name: str) -> None:
    stored = images.part_pixels(1)
    stored[:40, :40] = 255  # top left corner
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = images.encode(stored, format_name, exif=exif)
    # The EXIF standard's table: where the stored row 0 and column 0 are in the upright image.
    upright = {
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: stored.transpose(1, 0, 2)[:, ::-1],
        7: stored.transpose(1, 0, 2)[::-1, ::-1],
        8: stored.transpose(1, 0, 2)[::-1],
    }.get(orientation, stored)
    decoded = decode_image(data)
    assert decoded.shape == upright.shape
    assert np.abs(decoded.astype(int) - upright).mean() < 4
    facts = inspect_image(data)
    assert (facts.height, facts.width) == upright.shape[:2]
    assert facts.needs_copy == (2 <= orientation <= 8)


@pytest.mark.parametrize("format_name", ["PNG", "TIFF"])
@pytest.mark.parametrize("bits", [10, 12, 16])
def test_deep_grey_is_scaled_by_the_declared_depth(bits: int, format_name: str) -> None:
    decoded = decode_image(images.grey_16_bit(format_name, bits=bits), bit_depth=bits)
    assert np.abs(decoded.astype(int) - images.part_pixels()).max() <= 1


def test_deep_grey_with_too_small_a_depth_is_refused() -> None:
    with pytest.raises(DecodeError, match="Pixels go up to") as caught:
        decode_image(images.grey_16_bit(bits=14), bit_depth=12)
    assert caught.value.code == "bit_depth_wrong"


@pytest.mark.parametrize("name", sorted(images.BAD_FILES))
def test_bad_file_is_refused_with_its_reason(name: str) -> None:
    make, code = images.BAD_FILES[name]
    with pytest.raises(DecodeError) as caught:
        decode_image(make())
    assert caught.value.code == code
    assert str(caught.value) == caught.value.message
    assert caught.value.message.endswith(".")


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_image(tmp_path / "none.png")
    assert caught.value.code == "unreadable"


def test_black_png_is_no_zero_tail() -> None:
    assert decode_image(images.encode(np.zeros((64, 64), np.uint8))).max() == 0


def test_tail_after_a_whole_jpeg_is_ignored() -> None:
    whole = images.good_jpeg()
    np.testing.assert_array_equal(decode_image(whole + b"PK\x03\x04 tail"), decode_image(whole))


def test_error_survives_a_process_border() -> None:
    error = copy.copy(DecodeError("truncated", "It is cut."))  # by the same protocol as pickle
    assert (error.code, error.message) == ("truncated", "It is cut.")


def test_facts_of_a_plain_file() -> None:
    facts = inspect_image(images.good_png())
    assert (facts.format, facts.width, facts.height, facts.mode) == ("PNG", 128, 96, "RGB")
    assert not facts.needs_copy
    assert facts.browser_shows
    assert not inspect_image(images.encode(images.part_pixels(), "TIFF")).browser_shows


def test_preview_is_a_smaller_jpeg_of_the_same_shape() -> None:
    data = encode_preview(images.part_pixels(height=400, width=600), max_side=150)
    with Image.open(io.BytesIO(data)) as preview:
        assert preview.format == "JPEG"
        assert preview.size == (150, 100)
    assert decode_image(encode_preview(images.part_pixels(), max_side=500)).shape == (96, 128, 3)


def _listed_bad_inputs() -> list[tuple[str, str]]:
    manifest = BAD_INPUTS / "MANIFEST.csv"
    if not manifest.is_file():
        return []
    with manifest.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    return [(row[0], row[5]) for row in rows if not row[0].endswith(".zip")]


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow grumbles about broken TIFF tags
def test_collected_bad_inputs_are_refused_or_decoded_whole() -> None:
    listed = _listed_bad_inputs()
    if not listed:
        pytest.skip("needs the bad-input files")
    wrongly_taken = []
    for name, expected in listed:
        try:
            pixels = decode_image(BAD_INPUTS / name)
        except DecodeError:
            continue
        if "must be refused" in expected and "undetectable" not in expected:
            wrongly_taken.append((name, pixels.shape))
    assert wrongly_taken == []
