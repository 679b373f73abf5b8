"""The one way from a file's bytes to pixels, for fit, score, command line and intake.

Needs only numpy and Pillow unless asked for ``compiled`` loops: it runs inside the intake's child.
Not for choosing what to do with a refused file: it says what is wrong and stops there.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from detection.files import DecodeError, check_whole, format_of, truncated
from detection.png import read_plain_header, read_plain_pixels
from detection.protocol import UInt8Array

__all__ = [
    "DecodeError",
    "ImageFacts",
    "decode_image",
    "decode_with_facts",
    "encode_preview",
    "inspect_image",
]

MAX_PIXELS: Final = 50_000_000  # three bytes each: 150 MB, what one decoder child may use
MIN_SIDE_PX: Final = 32  # below, no backbone has a single cell to look at
MAX_SIDE_PX: Final = 20_000
MAX_BYTES: Final = 512 * 1024 * 1024  # 50 MP of four 16-bit channels, uncompressed, and change
GROUND_RGB: Final = (0, 0, 0)  # what shows through transparent pixels: dark, like a fixture

_PLAIN_MODES: Final = frozenset({"L", "RGB"})
_ALPHA_MODES: Final = frozenset({"LA", "PA", "RGBA"})
_DEEP_MODES: Final = frozenset({"I;16", "I;16B", "I;16L", "I;16N"})
_READ_MODES: Final = _PLAIN_MODES | _ALPHA_MODES | _DEEP_MODES | {"1", "P"}

_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION_TAG: Final = 0x0112


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What the header says, before any pixel is decoded.

    Attributes:
        format: ``"PNG"``, ``"JPEG"``, ``"TIFF"`` or ``"BMP"``, by the file's first bytes.
        width: Pixels, of the upright image.
        height: Pixels, of the upright image.
        mode: Pillow's name of the stored pixels, such as ``"L"`` or ``"I;16"``.
        orientation: EXIF orientation as stored, 1 to 8; 1 where none or a wrong one is.
        needs_copy: True where the stored pixels are not the upright 8-bit image itself
            (turned, 16-bit, palette, bilevel or transparent), so that a derived copy is kept.
        browser_shows: True where browsers can draw the format themselves.
    """

    format: str
    width: int
    height: int
    mode: str
    orientation: int
    needs_copy: bool
    browser_shows: bool


def inspect_image(source: Path | bytes) -> ImageFacts:
    """Return the header's facts of one file, refused already where they are out of bounds.

    Args:
        source: A file, or its bytes.

    Returns:
        The facts. Pixels are not decoded: a damaged body shows only in ``decode_image``.

    Raises:
        DecodeError: Not one of the four formats, size out of range, more than one frame,
            a kind of pixel that is not read, or an end that is missing.

    Source: ours.
    """
    data = _read(source)
    format_name = format_of(data)
    check_whole(data, format_name)
    with _open(data, format_name) as image:
        return _facts(image, format_name)


def decode_image(
    source: Path | bytes,
    *,
    bit_depth: int | None = None,
    ground_rgb: tuple[int, int, int] = GROUND_RGB,
    compiled: bool = False,
) -> UInt8Array:
    """Return the upright 8-bit RGB pixels of one file, or say why there are none.

    16-bit grey is scaled by the bit depth that the station declares, because a 12-bit
    camera writes 16-bit files that look nearly black otherwise. EXIF orientation is
    applied once, here, and nowhere else.

    Args:
        source: A file, or its bytes.
        bit_depth: Bits in use in a 16-bit grey file, 9 to 16. Ignored for 8-bit files.
        ground_rgb: What shows through transparent pixels.
        compiled: Decode plain 8-bit PNGs by compiled loops and upright JPEGs by OpenCV: the same
            pixels in half of the time. For processes that fit or score, which load numba and
            OpenCV anyway.

    Returns:
        ``(height, width, 3)`` uint8 in RGB order, C-contiguous, owned by the caller.

    Raises:
        DecodeError: Any reason of ``inspect_image``, or a body that is cut or damaged, or a
            bit depth that is missing or too small.

    Source: ours; the end and zero-tail checks answer files that decoders take as whole.
    """
    data = _read(source)
    format_name = format_of(data)
    check_whole(data, format_name)
    plain = {"PNG": _plain_png, "JPEG": _plain_jpeg}.get(format_name)
    if compiled and plain is not None:
        pixels = plain(data)
        if pixels is not None:
            return pixels
    return _decode(data, format_name, bit_depth=bit_depth, ground_rgb=ground_rgb)[0]


def decode_with_facts(
    source: Path | bytes,
    *,
    bit_depth: int | None = None,
    ground_rgb: tuple[int, int, int] = GROUND_RGB,
) -> tuple[UInt8Array, ImageFacts]:
    """Return what ``decode_image`` and ``inspect_image`` return, for the price of one.

    Asking a PNG for its orientation decodes it, so that both calls would decode it twice.

    Args:
        source: A file, or its bytes.
        bit_depth: Bits in use in a 16-bit grey file, 9 to 16. Ignored for 8-bit files.
        ground_rgb: What shows through transparent pixels.

    Returns:
        ``(height, width, 3)`` uint8 in RGB order, and the header's facts.

    Raises:
        DecodeError: As ``decode_image``.

    Source: ours.
    """
    data = _read(source)
    format_name = format_of(data)
    check_whole(data, format_name)
    return _decode(data, format_name, bit_depth=bit_depth, ground_rgb=ground_rgb)


def _decode(
    data: bytes, format_name: str, *, bit_depth: int | None, ground_rgb: tuple[int, int, int]
) -> tuple[UInt8Array, ImageFacts]:
    with _open(data, format_name) as image:
        facts = _facts(image, format_name)
        _load(image)
        pixels = _to_rgb(image, bit_depth=bit_depth, ground_rgb=ground_rgb)
        # Pillow turns TIFF by itself while loading, so ask again what is left to turn.
        turn = _UPRIGHT.get(_orientation(image))
        if turn is not None:
            pixels = pixels.transpose(turn)
        return np.array(pixels, dtype=np.uint8, order="C"), facts


def _plain_png(data: bytes) -> UInt8Array | None:
    plain = read_plain_header(data)
    if plain is None:
        return None
    _check_size(plain.width, plain.height)
    return read_plain_pixels(plain)


def _plain_jpeg(data: bytes) -> UInt8Array | None:
    """The pixels by the same libjpeg, straight into the array instead of through two copies."""
    with _open(data, "JPEG") as image:
        facts = _facts(image, "JPEG")
    if facts.needs_copy:
        return None
    import cv2

    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None
    if pixels is None or pixels.shape != (facts.height, facts.width, 3):
        return None
    return np.asarray(pixels, dtype=np.uint8)


def encode_preview(image: UInt8Array, *, max_side: int = 1024, quality: int = 82) -> bytes:
    """Return a JPEG of the image whose longer side is at most ``max_side`` pixels.

    Args:
        image: ``(height, width, 3)`` uint8 RGB, or ``(height, width)`` grey.
        max_side: Pixels. A smaller image keeps its size.
        quality: JPEG quality, 1 to 95.

    Returns:
        The bytes of a baseline JPEG without metadata.

    Source: ours.
    """
    picture = Image.fromarray(np.ascontiguousarray(image))
    # The gap lets Pillow shrink by whole steps first: 3 times faster, no visible change.
    picture.thumbnail((max_side, max_side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=quality)
    return buffer.getvalue()


def _read(source: Path | bytes) -> bytes:
    if isinstance(source, bytes):
        data = source
    else:
        try:
            if source.stat().st_size > MAX_BYTES:
                raise _too_big()
            data = source.read_bytes()
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise DecodeError(
                "unreadable", f"The file cannot be read ({reason}). Check the path and its rights."
            ) from error
    if not data:
        raise DecodeError("empty", "The file is empty. Send it again once it is fully written.")
    if len(data) > MAX_BYTES:
        raise _too_big()
    return data


def _too_big() -> DecodeError:
    limit = f"{MAX_BYTES // 1024**2} MB"
    return DecodeError("file_too_big", f"The file is over {limit}. Send a smaller or PNG image.")


def _open(data: bytes, format_name: str) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=(format_name,))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels() from error
    except Exception as error:  # Pillow's readers raise nearly every kind on hostile headers
        raise DecodeError(
            "damaged", f"The {format_name} header is damaged. Save or send the image again."
        ) from error


def _too_many_pixels() -> DecodeError:
    limit = f"{MAX_PIXELS // 1_000_000} million"
    return DecodeError(
        "too_large", f"The image has more than {limit} pixels. Crop it or scale it down."
    )


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise _too_many_pixels()
    size = f"{width} x {height} pixels"
    if min(width, height) < MIN_SIDE_PX:
        raise DecodeError(
            "too_small", f"The image has {size}; each side needs at least {MIN_SIDE_PX}."
        )
    if max(width, height) > MAX_SIDE_PX:
        raise DecodeError(
            "too_large", f"The image has {size}; a side may have at most {MAX_SIDE_PX:,}."
        )


def _facts(image: Image.Image, format_name: str) -> ImageFacts:
    width, height = image.size
    _check_size(width, height)
    if image.mode not in _READ_MODES:
        raise DecodeError(
            "colour_mode",
            f"Pixels of kind {image.mode} are not read. Save the image as grey or RGB.",
        )
    try:
        frames = int(getattr(image, "n_frames", 1))
    except Exception as error:  # counting TIFF pages parses hostile directories
        raise DecodeError("damaged", "The list of pages is damaged. Send it again.") from error
    if frames != 1:
        raise DecodeError(
            "several_frames",
            f"The file holds {frames} pictures; one is wanted. Send each as its own file.",
        )
    orientation = _orientation(image)
    if orientation >= 5 and format_name != "TIFF":  # Pillow has swapped the sides of TIFF
        width, height = height, width
    transparent = "transparency" in image.info
    return ImageFacts(
        format=format_name,
        width=width,
        height=height,
        mode=image.mode,
        orientation=orientation,
        needs_copy=orientation != 1 or transparent or image.mode not in _PLAIN_MODES,
        browser_shows=format_name != "TIFF",
    )


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # broken EXIF says nothing about which way is up; the pixels are fine
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _load(image: Image.Image) -> None:
    try:
        image.load()
    except MemoryError as error:
        raise DecodeError(
            "too_large", "The image needs more memory than there is. Scale it down."
        ) from error
    except Exception as error:  # Pillow's decoders raise nearly every kind on hostile bodies
        if "truncated" in str(error).lower():
            raise truncated("pixels are missing") from error
        raise DecodeError("damaged", "The pixels are damaged. Send the image again.") from error


def _to_rgb(
    image: Image.Image, *, bit_depth: int | None, ground_rgb: tuple[int, int, int]
) -> Image.Image:
    if image.mode in _DEEP_MODES:
        return _deep_to_rgb(image, bit_depth)
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        over = image.convert("RGBA")
        ground = Image.new("RGBA", over.size, (*ground_rgb, 255))
        return Image.alpha_composite(ground, over).convert("RGB")
    # Converting to the mode an image has copies it all: 3 MB of new pages at 900 x 900 pixels.
    return image if image.mode == "RGB" else image.convert("RGB")


def _deep_to_rgb(image: Image.Image, bit_depth: int | None) -> Image.Image:
    if bit_depth is None:
        raise DecodeError(
            "bit_depth_missing",
            "This is a 16-bit grey image. Declare the camera's bit depth (such as 12) at the "
            "station, then send it again.",
        )
    if not 9 <= bit_depth <= 16:
        raise DecodeError(
            "bit_depth_wrong", f"A bit depth of {bit_depth} is declared; 9 to 16 are possible."
        )
    values = np.asarray(image).astype(np.uint32)
    top = (1 << bit_depth) - 1
    highest = int(values.max())
    if highest > top:
        raise DecodeError(
            "bit_depth_wrong",
            f"Pixels go up to {highest}, but {bit_depth} bits end at {top}. "
            "Correct the bit depth declared at the station.",
        )
    grey = ((values * 255 + top // 2) // top).astype(np.uint8)
    return Image.fromarray(np.repeat(grey[:, :, None], 3, axis=2))
