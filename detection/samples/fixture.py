"""The fixture that rings lie on: a brushed plate with slots, dowel holes and three clamps."""

from functools import lru_cache
from typing import Final

import numpy as np

from detection.protocol import Float32Array
from detection.samples.camera import blurred, noise_window

_CLAMP_ANGLES: Final = (-2.23, -0.18, 1.93)  # radians from the right, clockwise
_CLAMP_MM: Final = 61.5  # middle of a clamp from the middle of the fixture


@lru_cache(maxsize=8)
def fixture_light(
    width: int, height: int, px_per_mm: float, centre_xy: tuple[float, float]
) -> Float32Array:
    """The base plate with slots, dowel holes and clamps, without the ring's shadow."""
    rng = np.random.default_rng(62204)
    scale = px_per_mm
    brushed = noise_window(rng, height, width, name="brushed", sigma_x=60.0, sigma_y=0.55)
    short = noise_window(rng, height, width, name="brushed2", sigma_x=9.0, sigma_y=0.5)
    cloud = noise_window(rng, height, width, name="cloud", sigma_x=70.0, sigma_y=40.0)
    plate = 0.265 + 0.0165 * brushed + 0.011 * short + 0.006 * cloud
    rows = np.arange(height, dtype=np.float32)[:, None]
    columns = np.arange(width, dtype=np.float32)[None, :]
    x = (columns - centre_xy[0]) / scale
    y = (rows - centre_xy[1]) / scale
    plate += 0.03 * np.exp(-(((x + 40) / 70) ** 2) - ((y + 45) / 60) ** 2)
    for slot in (-66.0, 66.0):
        depth = np.clip((1.9 - np.abs(y - slot)) * scale + 0.5, 0, 1)
        edge = np.exp(-(((y - slot - 2.1) * 3.0) ** 2)) - 0.5 * np.exp(
            -(((y - slot + 2.1) * 3) ** 2)
        )
        plate = plate * (1 - 0.62 * depth) + 0.035 * edge
    for hole_x, hole_y in ((-53.5, -53), (53.5, -53), (-53.5, 53.5), (53.5, 53.5)):
        distance = np.hypot(x - hole_x, y - hole_y)
        ring = np.exp(-(((distance - 3.3) * 2.6) ** 2))
        facing = -((x - hole_x) + (y - hole_y)) / np.maximum(distance, 0.3) / 1.414
        plate += 0.05 * ring * (0.35 - facing)
        inside = np.clip((3.0 - distance) * scale + 0.5, 0, 1)
        plate = plate * (1 - inside) + 0.045 * inside
    for angle in _CLAMP_ANGLES:
        plate = _clamp(plate, x, y, angle, scale)
    return np.asarray(blurred(plate.astype(np.float32), 0.5), dtype=np.float32)


def _clamp(
    plate: Float32Array, x: Float32Array, y: Float32Array, angle: float, scale: float
) -> Float32Array:
    """A small milled tab that reaches under the ring, with its screw."""
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    along = x * cos + y * sin - np.float32(_CLAMP_MM)
    across = y * cos - x * sin
    inside = np.clip((6.5 - np.abs(along)) * scale + 0.5, 0, 1)
    inside = inside * np.clip((4.6 - np.abs(across)) * scale + 0.5, 0, 1)
    down, right = round(1.2 * scale), round(1.0 * scale)
    moved = np.zeros(plate.shape, dtype=np.float32)
    moved[down:, right:] = inside[:-down, :-right]
    shadow = blurred(moved, 0.9 * scale)
    edge = np.minimum(6.5 - np.abs(along), 4.6 - np.abs(across))
    bevel = np.exp(-((edge / 0.35) ** 2))
    grain = noise_window(
        np.random.default_rng(int(angle * 100) + 1000),
        *plate.shape,
        name="milled",
        sigma_x=5.0,
        sigma_y=0.7,
    )
    face = 0.37 + 0.012 * grain + 0.13 * bevel
    distance = np.hypot(along - 1.6, across)
    screw = np.clip((1.7 - distance) * scale + 0.5, 0, 1)
    rim = np.exp(-(((distance - 1.9) * 4) ** 2))
    face = (face - 0.10 * rim) * (1 - screw) + 0.06 * screw
    return np.asarray(plate * (1 - 0.6 * shadow) * (1 - inside) + face * inside, dtype=np.float32)
