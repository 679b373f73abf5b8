"""Where in a picture the part lies, so that what is around it is neither learned nor scored.

For parts in front of an even ground that fills the picture's border. In doubt everything counts
as the part: a picture without such a ground (cloth, a close-up) is looked at whole.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from detection.protocol import BoolArray, DetectionError, UInt8Array

# Where a part ends is wanted to one cell of the feature grid, 16 pixels of some 384.
WORKING_SIDE_PX: Final = 256
# The shorter side of a narrow picture: enough for a frame around something.
MIN_WORKING_PX: Final = 16
# Of the shorter working side: thin, since parts may come near the border.
FRAME_SHARE: Final = 0.02
MIN_FRAME_PX: Final = 2
# Sensor noise and the grain of the ground go, edges move by less than a cell.
BLUR_SIGMA_PX: Final = 1.5
# Otsu's share of variance between the classes: 2/3 for noise around the frame's colour, 3/4 for a
# ground that fades evenly from end to end, near 1 for two tones. Above both of what is no part.
CLEAR_SPLIT: Final = 0.8
# Grey levels, per channel, between the mean of the part and that of the ground: less, and the
# drift of the lamp from picture to picture decides what is part.
MIN_CONTRAST: Final = 12.0
# Grey levels beyond which a pixel is no ground, however much further it is: what differs within a
# part must not blur the split. On generated rings the split is clear at 96 (0.83) and not at 128.
SURE_CONTRAST: Final = 96.0
# A part of under a twentieth is too small to be trusted to be the whole part; over 95 % there is
# nothing to gain.
MIN_SHARE: Final = 0.05
MAX_SHARE: Final = 0.95
# A strip half as wide as the picture, which runs through it, covers a quarter of the frame; a
# picture of two tones covers a half of it by one of them, and both are the part.
MAX_FRAME_COVERED: Final = 1 / 3
SPECK_SHARE: Final = 0.001
# Of the longer working side, about a cell: a chipped edge looks like ground and must stay in.
MARGIN_SHARE: Final = 0.04
CELL_SHARE: Final = 0.1


def foreground_mask(image: UInt8Array) -> BoolArray:
    """Where the part is: everything that differs from the ground along the picture's border.

    The ground's colour is the median of a thin frame; what is far from it, by Otsu's split, is
    the part, its holes filled, specks dropped, and a margin of 4 % of the longer side around it.
    All of the image is the part when the split is not clear (a share of variance between the
    classes under 0.8, or under 12 grey levels apart), when under 5 % or over 95 % would be part,
    or when the part covers over a third of the frame. What is missing from a part's edge deeper
    than the margin is taken as ground.

    Args:
        image: ``(height, width, 3)`` uint8 RGB.

    Returns:
        ``(height, width)``, True on the part; never all False.

    Raises:
        DetectionError: The image has another shape or type.

    Source: ours; Otsu, "A Threshold Selection Method from Gray-Level Histograms", 1979.
    """
    import cv2

    _check(image)
    height, width = image.shape[:2]
    small = _small_mask(image)
    if small is None:
        return np.ones((height, width), np.bool_)
    enlarged = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(enlarged, np.uint8).view(np.bool_)


def foreground_cells(image: UInt8Array, shape: tuple[int, int]) -> BoolArray:
    """Which cells of a grid over the image show the part: those with a tenth of it or more.

    Args:
        image: ``(height, width, 3)`` uint8 RGB.
        shape: (rows, cols) of the grid.

    Returns:
        ``(rows, cols)``; never all False. See ``foreground_mask`` for when it is all True.

    Raises:
        DetectionError: The image has another shape or type, or the grid has no cells.

    Source: ours.
    """
    import cv2

    _check(image)
    rows, cols = shape
    if min(rows, cols) < 1:
        raise DetectionError(f"A grid needs at least one row and one column, not {shape}.")
    small = _small_mask(image)
    if small is None:
        return np.ones((rows, cols), np.bool_)
    shares = cv2.resize(small.astype(np.float32), (cols, rows), interpolation=cv2.INTER_AREA)
    cells = np.asarray(shares, np.float32).reshape(rows, cols) >= CELL_SHARE
    # A part that no cell shows enough of, as on a grid of one cell: look everywhere.
    return cells if cells.any() else np.ones((rows, cols), np.bool_)


def _check(image: UInt8Array) -> None:
    # Its own: `features` may ask this module where the part is.
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise DetectionError(
            f"An image must be (height, width, 3) uint8, not {image.shape} {image.dtype}."
        )


def _small_mask(image: UInt8Array) -> UInt8Array | None:
    """The mask at working size, 0 or 1; None where the whole image is to be looked at."""
    distances = _ground_distances(_shrunk(image))
    threshold = _clear_split(distances)
    if threshold is None:
        return None
    part = _without_specks(_without_holes((distances > threshold).astype(np.uint8)))
    covered = float(_frame_of(part).mean())
    if part.mean() < MIN_SHARE or covered > MAX_FRAME_COVERED:
        return None
    grown = _grown(part)
    return None if grown.mean() > MAX_SHARE else grown


def _shrunk(image: UInt8Array) -> UInt8Array:
    """The image with at most ``WORKING_SIDE_PX`` a side, narrow ones stretched if need be."""
    import cv2

    longest = max(image.shape[:2])
    scale = min(1.0, WORKING_SIDE_PX / longest)
    height, width = (
        max(min(side, MIN_WORKING_PX), round(side * scale)) for side in image.shape[:2]
    )
    # Some pixels of all are enough of what is blurred afterwards; means cost ten times as much.
    shrunk = cv2.resize(image, (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(shrunk, np.uint8)


def _ground_distances(image: UInt8Array) -> UInt8Array:
    """``(height, width)`` distance of each pixel to the ground's colour, grey levels a channel."""
    import cv2

    smooth = np.asarray(cv2.GaussianBlur(image, (0, 0), BLUR_SIGMA_PX), np.uint8)
    ground = np.median(_frame_of(smooth), axis=0).astype(np.float32)
    # Matrices over the three channels, the last column added: four times as fast as numpy's sums.
    less_ground = np.column_stack([np.eye(3, dtype=np.float32), -ground])
    apart = cv2.transform(smooth.astype(np.float32), less_ground)
    squares = cv2.transform(cv2.multiply(apart, apart), np.full((1, 3), 1 / 3, np.float32))
    return np.minimum(np.sqrt(np.asarray(squares)), np.float32(SURE_CONTRAST)).astype(np.uint8)


def _frame_of(pixels: UInt8Array) -> UInt8Array:
    """The pixels along the border, ``(count, ...)``."""
    wide = max(MIN_FRAME_PX, round(FRAME_SHARE * min(pixels.shape[:2])))
    middle = pixels[wide:-wide]
    parts = (pixels[:wide], pixels[-wide:], middle[:, :wide], middle[:, -wide:])
    return np.concatenate([part.reshape(-1, *pixels.shape[2:]) for part in parts])


def _clear_split(distances: UInt8Array) -> int | None:
    """The distance above which there is part; None where no two classes show."""
    counts = np.bincount(distances.ravel(), minlength=256).astype(np.float64)
    levels = np.arange(256.0)
    below, moment = np.cumsum(counts), np.cumsum(counts * levels)
    above, rest = below[-1] - below, moment[-1] - moment
    both = np.flatnonzero((below > 0) & (above > 0))
    if both.size == 0:
        return None
    apart = rest[both] / above[both] - moment[both] / below[both]
    between = below[both] * above[both] * apart**2 / below[-1]
    best = int(np.argmax(between))
    total = float((counts * (levels - moment[-1] / below[-1]) ** 2).sum())
    if between[best] < CLEAR_SPLIT * total or apart[best] < MIN_CONTRAST:
        return None
    return int(both[best])


def _without_holes(part: UInt8Array) -> UInt8Array:
    """The mask with all that the border cannot be reached from filled."""
    import cv2

    # A rim of ground around the picture, from which all ground that is outside can be reached.
    padded = np.pad(part, 1)
    cv2.floodFill(padded, None, (0, 0), 2)
    return np.asarray(padded[1:-1, 1:-1] != 2, np.uint8)


def _without_specks(part: UInt8Array) -> UInt8Array:
    import cv2

    _, labels, stats, _ = cv2.connectedComponentsWithStats(part, connectivity=8)
    large = np.asarray(stats)[:, cv2.CC_STAT_AREA] >= SPECK_SHARE * part.size
    large[0] = False  # the ground
    return large.astype(np.uint8)[np.asarray(labels)]


def _grown(part: UInt8Array) -> UInt8Array:
    import cv2

    reach = max(1, round(MARGIN_SHARE * max(part.shape)))
    to_part = cv2.distanceTransform(1 - part, cv2.DIST_L2, cv2.DIST_MASK_3)
    return np.asarray(np.asarray(to_part) <= reach, np.uint8)
