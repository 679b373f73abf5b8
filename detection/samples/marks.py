"""Shapes that defects are made of, drawn into small windows: curves, blobs, bumps.

Knows nothing of products: gives coverage between 0 and 1, the product decides what it does
to the light.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from detection.protocol import BoolArray, Float32Array, Float64Array
from detection.samples.camera import blurred, noise_bank

_FINE = 4  # curves are drawn this much finer and then averaged


@dataclass(frozen=True, slots=True)
class Mark:
    """Coverage in a window of the image: ``(rows, columns)`` float32 in [0, 1]."""

    top: int
    left: int
    coverage: Float32Array

    @property
    def place(self) -> tuple[slice, slice]:
        rows, columns = self.coverage.shape
        return slice(self.top, self.top + rows), slice(self.left, self.left + columns)

    def mask(self, height: int, width: int, *, above: float = 0.2) -> BoolArray:
        """The whole image's mask: where more than ``above`` of a pixel is covered."""
        full = np.zeros((height, width), dtype=bool)
        full[self.place] = self.coverage > above
        return full


def curve(
    points_xy: npt.ArrayLike,
    width_px: Float64Array | float,
    *,
    height: int,
    width: int,
    strength: Float64Array | None = None,
) -> Mark | None:
    """A line through the points, of changing width and strength; None if out of the image."""
    import cv2

    points = np.asarray(points_xy, dtype=np.float64)
    widths = np.broadcast_to(np.asarray(width_px, dtype=np.float64), points.shape[:1])
    pad = int(np.ceil(widths.max())) + 3
    left, top = np.floor(points.min(axis=0)).astype(int) - pad
    right, bottom = np.ceil(points.max(axis=0)).astype(int) + pad
    left, top = max(0, left), max(0, top)
    right, bottom = min(width, right), min(height, bottom)
    if right - left < 2 or bottom - top < 2:
        return None
    fine = np.zeros(((bottom - top) * _FINE, (right - left) * _FINE), dtype=np.uint8)
    scaled = ((points - (left, top)) * _FINE).round().astype(np.int32)
    levels = np.full(len(points), 255.0) if strength is None else 255 * strength
    for k in range(len(points) - 1):
        thickness = max(1, round(float(widths[k]) * _FINE))
        begin, end = scaled[k].tolist(), scaled[k + 1].tolist()
        cv2.line(fine, begin, end, int(levels[k]), thickness, cv2.LINE_8)
    small = cv2.resize(fine, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
    return Mark(top, left, np.asarray(small / np.float32(255), dtype=np.float32))


def blob(
    rng: np.random.Generator,
    centre_xy: tuple[float, float],
    radius_px: float,
    *,
    height: int,
    width: int,
    aspect: float = 1.0,
    angle: float = 0.0,
    wobble: float = 0.35,
    softness: float = 0.15,
) -> Mark | None:
    """An irregular patch with an edge of given softness; None if out of the image."""
    longest = radius_px * max(aspect, 1 / aspect) ** 0.5
    reach = int(longest * (1.2 + 2 * wobble + softness / 2)) + 3
    left, top = int(centre_xy[0]) - reach, int(centre_xy[1]) - reach
    right, bottom = min(width, left + 2 * reach), min(height, top + 2 * reach)
    left, top = max(0, left), max(0, top)
    if right - left < 2 or bottom - top < 2:
        return None
    rows = np.arange(top, bottom, dtype=np.float32)[:, None] - np.float32(centre_xy[1])
    columns = np.arange(left, right, dtype=np.float32)[None, :] - np.float32(centre_xy[0])
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    along = (columns * cos + rows * sin) / np.float32(radius_px * aspect**0.5)
    across = (rows * cos - columns * sin) / np.float32(radius_px / aspect**0.5)
    # Sampled in the blob's own measure, so that another scale shows the same shape.
    offset = rng.uniform(200, 1200, 2)
    noise = _sampled("blob", 7.0, 16 * along + offset[0], 16 * across + offset[1])
    noise += np.float32(0.4) * _sampled(
        "fine", 2.5, 16 * along + offset[1], 16 * across + offset[0]
    )
    distance = np.hypot(along, across) + np.float32(wobble * 0.45) * noise
    inside = np.clip((1 - distance) / np.float32(softness) + 0.5, 0, 1)
    return Mark(top, left, np.asarray(inside * inside * (3 - 2 * inside), dtype=np.float32))


def wander(
    rng: np.random.Generator,
    middle_xy: tuple[float, float],
    length_mm: float,
    *,
    px_per_mm: float,
    heading: float,
    bend: float,
) -> Float64Array:
    """``(points, 2)`` x, y of a curve whose heading changes smoothly, like a thread or scratch.

    Points are 0.4 mm apart, so that the same seed gives the same curve at every scale.
    """
    count = max(5, int(length_mm / 0.4))
    turns = rng.normal(0, 1, count)
    kernel = np.hanning(min(count, 15) + 2)[1:-1]
    smooth = np.convolve(turns, kernel / np.sqrt((kernel**2).sum()), mode="same")
    headings = heading + np.cumsum(0.2 * bend * smooth)
    steps = 0.4 * px_per_mm * np.stack([np.cos(headings), np.sin(headings)], axis=1)
    points = np.cumsum(steps, axis=0)
    return np.asarray(points - points[count // 2] + np.array(middle_xy))


def _sampled(name: str, sigma: float, x: Float32Array, y: Float32Array) -> Float32Array:
    import cv2

    return np.asarray(
        cv2.remap(
            noise_bank(name, sigma, sigma),
            x.astype(np.float32),
            y.astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        ),
        dtype=np.float32,
    )


def shifted(mark: Mark, dx: int, dy: int, *, blur_px: float, height: int, width: int) -> Mark:
    """The same shape moved and blurred, as its shadow; cut at the image's edge."""

    pad = int(3 * blur_px) + max(abs(dx), abs(dy)) + 1
    wide = np.pad(mark.coverage, pad)
    moved = np.roll(wide, (dy, dx), axis=(0, 1))
    soft = blurred(moved, blur_px)
    top, left = mark.top - pad, mark.left - pad
    cut = soft[max(0, -top) : height - top, max(0, -left) : width - left]
    return Mark(max(0, top), max(0, left), np.asarray(cut, dtype=np.float32))
