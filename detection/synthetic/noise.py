"""Gradient noise: smooth random shapes for blotches and worn scratches."""

import numpy as np

from detection.protocol import Float64Array


def gradient_noise(
    height: int, width: int, *, cell_px: float, rng: np.random.Generator
) -> Float64Array:
    """Return smooth noise whose bumps are about as large as a cell.

    Args:
        height: Rows.
        width: Columns.
        cell_px: Distance of the lattice points, pixels, > 0.
        rng: Draws one direction per lattice point.

    Returns:
        ``(height, width)`` float64, about 0, within [-1, 1].

    Source: Perlin 2002 (quintic fade).
    """
    rows, row_share = _lattice(height, cell_px)
    columns, column_share = _lattice(width, cell_px)
    angles = rng.uniform(0, 2 * np.pi, (rows[-1] + 2, columns[-1] + 2))
    slope_y, slope_x = np.sin(angles), np.cos(angles)

    def corner(down: int, right: int) -> Float64Array:
        at = np.ix_(rows + down, columns + right)
        rise = slope_y[at] * (row_share - down)[:, None] + slope_x[at] * (column_share - right)
        return np.asarray(rise, np.float64)

    fade_y, fade_x = _fade(row_share)[:, None], _fade(column_share)
    top = corner(0, 0) * (1 - fade_x) + corner(0, 1) * fade_x
    bottom = corner(1, 0) * (1 - fade_x) + corner(1, 1) * fade_x
    # Without the root the values end at half the diagonal of a cell.
    return np.asarray(np.sqrt(2) * (top * (1 - fade_y) + bottom * fade_y), np.float64)


def _lattice(length: int, cell_px: float) -> tuple[np.ndarray, Float64Array]:
    at = (np.arange(length) + 0.5) / cell_px
    cell = np.floor(at).astype(np.int64)
    return cell, at - cell


def _fade(share: Float64Array) -> Float64Array:
    return np.asarray(share**3 * (share * (6 * share - 15) + 10), np.float64)
