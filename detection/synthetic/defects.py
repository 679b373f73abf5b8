"""Three kinds of drawn defects and their masks: blotch, cut-paste, scratch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from detection.protocol import BoolArray, DetectionError, Float64Array, UInt8Array
from detection.synthetic.noise import gradient_noise

MIN_SIDE_PX: Final = 32
# Sizes are shares of the shorter side: the larger end is hard to overlook, the smaller is not.
_BLOTCH_RADIUS: Final = (0.03, 0.09)
_PATCH_SIDE: Final = (0.05, 0.16)
_SCRATCH_LENGTH: Final = (0.15, 0.45)
_SCRATCH_WIDTH: Final = (0.004, 0.012)
# Grey levels by which a defect differs from what it covers: clearly seen by a person.
_CONTRAST: Final = (40.0, 90.0)
_PATCH_CONTRAST: Final = (20.0, 50.0)  # a patch from elsewhere differs by its picture as well

Box = tuple[slice, slice]


@dataclass(frozen=True, slots=True)
class SyntheticDefect:
    """A normal image with a drawn defect.

    Attributes:
        image: ``(height, width, 3)`` uint8 RGB, a new array.
        mask: ``(height, width)`` bool, exactly the pixels that changed; never empty.
        kind: One of ``KINDS``.
    """

    image: UInt8Array
    mask: BoolArray
    kind: str


def make_defect(image: UInt8Array, kind: str, *, rng: np.random.Generator) -> SyntheticDefect:
    """Return the image with one drawn defect somewhere, and where it is.

    Args:
        image: ``(height, width, 3)`` uint8 RGB; left as it is.
        kind: One of ``KINDS``: ``blotch``, ``cut-paste``, ``scratch``.
        rng: Draws place, size, shape and colour; same state, same bytes.

    Raises:
        DetectionError: Another shape or type, smaller than 32 pixels, or no such kind.

    Source: ours, after DRAEM (Zavrtanik et al. 2021) and CutPaste (Li et al. 2021).
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise DetectionError("Synthetic defects need (height, width, 3) uint8 images.")
    if min(image.shape[:2]) < MIN_SIDE_PX:
        raise DetectionError(f"Synthetic defects need images of at least {MIN_SIDE_PX} pixels.")
    if kind not in _MAKERS:
        raise DetectionError(f"There is no synthetic defect {kind!r}; there is {', '.join(KINDS)}.")
    changed = image.copy()
    box, pixels = _MAKERS[kind](image, rng)
    changed[box] = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return SyntheticDefect(changed, np.asarray((changed != image).any(axis=2)), kind)


def _blotch(image: UInt8Array, rng: np.random.Generator) -> tuple[Box, Float64Array]:
    """A stain of one colour with a ragged, soft edge."""
    radius = max(3.0, rng.uniform(*_BLOTCH_RADIUS) * min(image.shape[:2]))
    side = int(2 * radius) + 1
    box = _place(image, side, side, rng)
    at = np.linspace(-1, 1, side)
    distance = np.hypot(at[:, None], at)
    ragged = 1 - distance + 0.5 * gradient_noise(side, side, cell_px=radius / 1.5, rng=rng)
    cover = np.clip(3 * (ragged - 0.25), 0, 1) * rng.uniform(0.7, 1.0)
    cover[distance >= 1] = 0.0
    # Whatever the noise took away, the heart of the stain is there.
    cover = np.maximum(cover, np.where(distance < 0.3, 0.7, 0.0))[..., None]
    below = image[box].astype(np.float64)
    stain = _contrasting(below.mean(axis=(0, 1)), _CONTRAST, rng)
    return box, below * (1 - cover) + stain * cover


def _cut_paste(image: UInt8Array, rng: np.random.Generator) -> tuple[Box, Float64Array]:
    """A piece of the same image in a wrong place, turned, brighter or darker."""
    shorter = min(image.shape[:2])
    height, width = (max(4, round(rng.uniform(*_PATCH_SIDE) * shorter)) for _ in range(2))
    piece = image[_place(image, height, width, rng)].astype(np.float64)
    piece = np.rot90(piece, int(rng.integers(4)))
    if rng.random() < 0.5:
        piece = piece[:, ::-1]
    box = _place(image, piece.shape[0], piece.shape[1], rng)
    # Brighter or darker than what it covers, so that even a uniform image shows it.
    covered = _contrasting(image[box].mean(axis=(0, 1)), _PATCH_CONTRAST, rng)
    return box, piece - piece.mean(axis=(0, 1)) + covered


def _scratch(image: UInt8Array, rng: np.random.Generator) -> tuple[Box, Float64Array]:
    """A thin, slightly bent line, bright or dark, worn in places."""
    height, width = image.shape[:2]
    shorter = min(height, width)
    length = rng.uniform(*_SCRATCH_LENGTH) * shorter
    half_width = max(0.8, rng.uniform(*_SCRATCH_WIDTH) * shorter / 2)
    steps = np.linspace(0, 1, int(2 * length) + 2)
    bend = rng.uniform(-0.7, 0.7)  # radians over the whole line
    heading = rng.uniform(0, 2 * np.pi) + bend * steps
    path_y, path_x = (np.cumsum(part) * length / steps.size
                      for part in (np.sin(heading), np.cos(heading)))  # fmt: skip
    margin = int(np.ceil(half_width)) + 1
    path_y, path_x = path_y - path_y.min() + margin, path_x - path_x.min() + margin
    rows = min(height, int(path_y.max()) + margin + 1)
    columns = min(width, int(path_x.max()) + margin + 1)
    cover = np.zeros((rows, columns))
    for down in range(-margin, margin + 1):
        for right in range(-margin, margin + 1):
            y, x = np.floor(path_y).astype(int) + down, np.floor(path_x).astype(int) + right
            near = np.clip(half_width + 0.5 - np.hypot(y + 0.5 - path_y, x + 0.5 - path_x), 0, 1)
            inside = (y >= 0) & (y < rows) & (x >= 0) & (x < columns)
            np.maximum.at(cover, (y[inside], x[inside]), near[inside])
    worn = 0.8 + 0.4 * gradient_noise(rows, columns, cell_px=max(2.0, length / 8), rng=rng)
    cover = (cover * np.clip(worn, 0.5, 1))[..., None]
    box = _place(image, rows, columns, rng)
    below = image[box].astype(np.float64)
    line = _contrasting(below[cover[..., 0] > 0].mean(axis=0), _CONTRAST, rng)
    return box, below * (1 - cover) + line * cover


_MAKERS: Final[Mapping[str, Callable[..., tuple[Box, Float64Array]]]] = {
    "blotch": _blotch,
    "cut-paste": _cut_paste,
    "scratch": _scratch,
}
KINDS: Final = tuple(_MAKERS)


def _place(image: UInt8Array, height: int, width: int, rng: np.random.Generator) -> Box:
    """A box of that size somewhere within the image."""
    top = int(rng.integers(image.shape[0] - height + 1))
    left = int(rng.integers(image.shape[1] - width + 1))
    return slice(top, top + height), slice(left, left + width)


def _contrasting(
    colour: Float64Array, contrast: tuple[float, float], rng: np.random.Generator
) -> Float64Array:
    """A colour that differs from this one, brighter or darker as far as there is room."""
    brighter = rng.random() < 0.5
    step = rng.uniform(*contrast) * rng.uniform(0.8, 1.2, 3)
    if np.ptp(colour) < 1:  # a grey camera sees no colours: a tint would give the defect away
        step = np.repeat(step[:1], 3)
    if colour.mean() > 255 - contrast[1]:
        brighter = False
    if colour.mean() < contrast[1]:
        brighter = True
    return np.asarray(np.clip(colour + (step if brighter else -step), 0, 255), np.float64)
