"""Is this picture like those the model knows: light, contrast, focus, place. numpy only.

Says nothing about the part: an image outside its limits is not scored as if it were fine.
"""

import base64
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import numpy as np

from detection.protocol import DetectionError, Float32Array, UInt8Array

SHARPNESS_SIDE_PX: Final = 640  # longer pictures are binned: focus is judged on one scale
PLACE_SIDE_PX: Final = 160  # of the copy that is compared for place; steps of a tenth remain
LIMIT_SD: Final = 6.0  # far out: drift within the limits is for charts over many images
USUAL_SD: Final = 2.0  # what the words call usual
# Smallest spread believed, so that twenty pictures of one quiet hour do not set the limits.
MIN_SD_GREY: Final = 4.0
MIN_SD_CONTRAST: Final = 3.0
MIN_SD_SHARPNESS_SHARE: Final = 0.08
MIN_SD_SHIFT_SHARE: Final = 0.005  # of the longer side
MAD_TO_SD: Final = 1.4826
PEAK_MIN: Final = 0.03  # a lower correlation peak is noise: the place is then not known


@dataclass(frozen=True, slots=True)
class Health:
    """What was measured on one image.

    Attributes:
        brightness: Mean grey, 0 to 255.
        contrast: Standard deviation of grey, 0 to 127.5.
        sharpness: Root mean square step between neighbouring pixels, % of the brightness, at
            the scale where the longer side is at most 640; independent of the lamp.
        shift_px: How far the picture lies from the reference, pixels; None without a
            reference for place, or where nothing in the picture matches it.
        width: Pixels.
        height: Pixels.
    """

    brightness: float
    contrast: float
    sharpness: float
    shift_px: float | None
    width: int
    height: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Limits:
    """Middle and spread of one measure over the reference images."""

    middle: float
    sd: float

    @property
    def low(self) -> float:
        return self.middle - LIMIT_SD * self.sd

    @property
    def high(self) -> float:
        return self.middle + LIMIT_SD * self.sd

    @property
    def usual(self) -> str:
        low, high = self.middle - USUAL_SD * self.sd, self.middle + USUAL_SD * self.sd
        return f"usual {_plain(max(0.0, low))} to {_plain(high)}"


@dataclass(frozen=True, slots=True, eq=False)
class HealthReference:
    """What healthy images of one view look like, learnt from its reference images.

    Attributes:
        brightness: Limits, grey levels.
        contrast: Limits, grey levels.
        sharpness: Limits, % of the brightness.
        shift: Limits, pixels; None where the place is not watched.
        size: Width and height in pixels, where all reference images have the same.
        picture: ``(rows, columns)`` float32 small mean image, for the place; None with shift.
        images: How many were learnt from.
    """

    brightness: Limits
    contrast: Limits
    sharpness: Limits
    shift: Limits | None
    size: tuple[int, int] | None
    picture: Float32Array | None
    images: int

    @classmethod
    def fit(cls, images: Iterable[UInt8Array], *, watch_place: bool = True) -> Self:
        """Learn the limits from images known to be healthy.

        Args:
            images: ``(height, width, 3)`` uint8 RGB each; walked three times if the place is
                watched, so not a bare generator.
            watch_place: False for products that lie at any angle or place.

        Returns:
            The reference. The place is watched only where all images have one size.

        Raises:
            DetectionError: No images.
        """
        measured = [measure_health(image) for image in images]
        if not measured:
            raise DetectionError("Health limits need at least one reference image.")
        sizes = {(health.width, health.height) for health in measured}
        size = sizes.pop() if len(sizes) == 1 else None
        picture: Float32Array | None = None
        shift: Limits | None = None
        if watch_place and size is not None:
            picture = np.mean([_small(image) for image in images], axis=0, dtype=np.float32)
            shifts = [_shift_px(image, picture) for image in images]
            known = [value for value in shifts if value is not None]
            if 2 * len(known) > len(shifts):
                shift = _limits(known, MIN_SD_SHIFT_SHARE * max(size))
            else:
                picture = None  # the reference images do not even match one another
        sharpness = [health.sharpness for health in measured]
        floor = MIN_SD_SHARPNESS_SHARE * float(np.median(sharpness))
        return cls(
            brightness=_limits([health.brightness for health in measured], MIN_SD_GREY),
            contrast=_limits([health.contrast for health in measured], MIN_SD_CONTRAST),
            sharpness=_limits(sharpness, floor),
            shift=shift,
            size=size,
            picture=picture,
            images=len(measured),
        )

    def reasons(self, health: Health) -> list[str]:
        """Return why the image is unhealthy, in plain words; empty where it is not."""
        found = []
        if self.size is not None and (health.width, health.height) != self.size:
            usual = f"{self.size[0]} x {self.size[1]}"
            found.append(f"wrong size: {health.width} x {health.height} pixels, usual {usual}")
        for value, limits, name, low_word, high_word in (
            (health.brightness, self.brightness, "brightness", "too dark", "too bright"),
            (health.contrast, self.contrast, "contrast", "too flat", "too harsh"),
            (health.sharpness, self.sharpness, "sharpness", "out of focus", "too grainy"),
        ):
            if value < limits.low or value > limits.high:
                word = low_word if value < limits.low else high_word
                found.append(f"{word}: {name} {_plain(value)}, {limits.usual}")
        if self.shift is not None and not found:  # a dark picture's place means nothing
            if health.shift_px is None:
                found.append("not at its place: nothing in the picture matches the reference")
            elif health.shift_px > self.shift.high:
                usual = _plain(self.shift.middle + USUAL_SD * self.shift.sd)
                shift = _plain(health.shift_px)
                found.append(f"not at its place: shifted by {shift} pixels, usual up to {usual}")
        return found

    def to_json(self) -> dict[str, Any]:
        """Return the reference as JSON types, about 35 kB with a picture."""
        picture = None
        if self.picture is not None:
            grey = np.clip(np.rint(self.picture), 0, 255).astype(np.uint8)
            picture = {
                "rows": grey.shape[0],
                "columns": grey.shape[1],
                "grey_base64": base64.b64encode(grey.tobytes()).decode("ascii"),
            }
        return {
            "brightness": asdict(self.brightness),
            "contrast": asdict(self.contrast),
            "sharpness": asdict(self.sharpness),
            "shift": None if self.shift is None else asdict(self.shift),
            "size": None if self.size is None else list(self.size),
            "picture": picture,
            "images": self.images,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the reference that ``to_json`` described."""
        picture = None
        if data["picture"] is not None:
            stored = data["picture"]
            flat = np.frombuffer(base64.b64decode(stored["grey_base64"]), dtype=np.uint8)
            picture = flat.reshape(stored["rows"], stored["columns"]).astype(np.float32)
        return cls(
            brightness=Limits(**data["brightness"]),
            contrast=Limits(**data["contrast"]),
            sharpness=Limits(**data["sharpness"]),
            shift=None if data["shift"] is None else Limits(**data["shift"]),
            size=None if data["size"] is None else (data["size"][0], data["size"][1]),
            picture=picture,
            images=data["images"],
        )


def measure_health(image: UInt8Array, reference: HealthReference | None = None) -> Health:
    """Return light, contrast, focus and place of one image.

    Args:
        image: ``(height, width, 3)`` uint8 RGB.
        reference: For the place; without one, or with one of another size, it stays None.

    Returns:
        The measures; compare them by ``HealthReference.reasons``.

    Source: focus after Tenenbaum 1970 (energy of gradients), here relative to brightness;
        place by phase correlation, Kuglin and Hines 1975.
    """
    height, width = image.shape[:2]
    grey = _binned(_grey(image), SHARPNESS_SIDE_PX)
    brightness = float(grey.mean())
    steps = sum(float(np.square(np.diff(grey, axis=axis)).mean()) for axis in (0, 1))
    shift = None
    if reference is not None and reference.size == (width, height):
        picture = reference.picture
        shift = None if picture is None else _shift_px(image, picture)
    return Health(
        brightness=brightness,
        contrast=float(grey.std()),
        sharpness=100 * math.sqrt(steps / 2) / max(brightness, 1.0),
        shift_px=shift,
        width=width,
        height=height,
    )


def _limits(values: list[float], least_sd: float) -> Limits:
    middle = float(np.median(values))
    spread = MAD_TO_SD * float(np.median(np.abs(np.array(values) - middle)))
    # Lots make two humps, which the median deviation underrates: take the plain one if larger.
    return Limits(middle, max(spread, float(np.std(values)), least_sd))


def _grey(image: UInt8Array) -> Float32Array:
    # The same numbers as a mean over the last axis, in a tenth of its time.
    total = image[:, :, 0].astype(np.uint16)
    total += image[:, :, 1]
    total += image[:, :, 2]
    return np.divide(total, np.float32(3), dtype=np.float32)


def _binned(grey: Float32Array, side_px: int) -> Float32Array:
    """Average whole blocks so that the longer side is at most ``side_px``; edges are cut."""
    step = math.ceil(max(grey.shape) / side_px)
    if step == 1:
        return grey
    rows, columns = max(1, grey.shape[0] // step), max(1, grey.shape[1] // step)
    cut = grey[: rows * step, : columns * step]
    blocks = cut.reshape(rows, cut.shape[0] // rows, columns, cut.shape[1] // columns)
    return np.asarray(blocks.mean(axis=(1, 3)), dtype=np.float32)


def _small(image: UInt8Array) -> Float32Array:
    return _binned(_grey(image), PLACE_SIDE_PX)


def _shift_px(image: UInt8Array, picture: Float32Array) -> float | None:
    small = _small(image)
    window = np.outer(np.hanning(small.shape[0]), np.hanning(small.shape[1]))
    here = np.fft.rfft2((small - small.mean()) * window)
    there = np.fft.rfft2((picture - picture.mean()) * window)
    cross = here * np.conj(there)
    # Below a few cycles all pictures agree, far above there is only noise: plain whitening
    # of both is what makes the peak narrow.
    peaks = np.fft.irfft2(cross / np.maximum(np.abs(cross), 1e-6), s=small.shape)
    row, column = np.unravel_index(int(peaks.argmax()), peaks.shape)
    if float(peaks[row, column]) < PEAK_MIN:
        return None
    down = _signed(_vertex(peaks[:, column], int(row)), small.shape[0])
    across = _signed(_vertex(peaks[row], int(column)), small.shape[1])
    step = math.ceil(max(image.shape[:2]) / PLACE_SIDE_PX)
    return float(step * math.hypot(down, across))


def _vertex(values: np.ndarray[Any, Any], place: int) -> float:
    """Place of the parabola's top through the peak and its two neighbours, around the end."""
    before, top, after = (float(values[(place + k) % values.size]) for k in (-1, 0, 1))
    bend = before - 2 * top + after
    return place + (0.5 * (before - after) / bend if bend < 0 else 0.0)


def _signed(place: float, size: int) -> float:
    return place - size if place > size / 2 else place


def _plain(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 20 else f"{value:.1f}"
