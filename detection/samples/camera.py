"""From light to pixels: noise banks, vignetting, lens blur, sensor noise, eight bits."""

from functools import lru_cache
from typing import Final

import numpy as np

from detection.protocol import Float32Array, UInt8Array

_BANK_SIDE: Final = 1400  # of a noise bank: windows of an image are cut from random places
FULL_WELL: Final = 9000.0  # electrons at white: sets the shot noise of a usual machine camera
READ_NOISE: Final = 14.0  # electrons


def blurred(image: Float32Array, sigma_x: float, sigma_y: float | None = None) -> Float32Array:
    """The image after a Gaussian blur of so many pixels, edges mirrored."""
    import cv2

    sigma_y = sigma_x if sigma_y is None else sigma_y
    # A deviation of 0 would mean "as the other axis" to OpenCV.
    smooth = cv2.GaussianBlur(image, (0, 0), max(sigma_x, 0.01), sigmaY=max(sigma_y, 0.01))
    return np.asarray(smooth, dtype=np.float32)


@lru_cache(maxsize=64)
def noise_bank(name: str, sigma_x: float, sigma_y: float) -> Float32Array:
    """A square of smoothed Gaussian noise, mean 0, deviation 1.

    Made once a process, because fresh noise for every image would cost most of its time.
    """
    import cv2

    # Coarse noise is made small and enlarged: a blur of 80 pixels here would take seconds.
    step_x, step_y = max(1, int(sigma_x / 6)), max(1, int(sigma_y / 6))
    rows, columns = _BANK_SIDE // step_y + 1, _BANK_SIDE // step_x + 1
    seed = np.frombuffer(name.encode().ljust(8)[:8], dtype=np.uint32)
    noise = np.random.default_rng(seed).standard_normal((rows, columns), np.float32)
    if sigma_x > 0 or sigma_y > 0:
        noise = blurred(noise, sigma_x / step_x, sigma_y / step_y)
        if step_x > 1 or step_y > 1:
            size = (columns * step_x, rows * step_y)
            noise = np.asarray(cv2.resize(noise, size, interpolation=cv2.INTER_CUBIC), np.float32)
    noise = noise[:_BANK_SIDE, :_BANK_SIDE]
    return np.asarray((noise - noise.mean()) / noise.std(), dtype=np.float32)


def noise_window(
    rng: np.random.Generator, height: int, width: int, *, name: str, sigma_x: float, sigma_y: float
) -> Float32Array:
    """``(height, width)`` float32 view of a noise bank at a random place, read-only."""
    bank = noise_bank(name, sigma_x, sigma_y)
    top = int(rng.integers(0, _BANK_SIDE - height + 1))
    left = int(rng.integers(0, _BANK_SIDE - width + 1))
    window = bank[top : top + height, left : left + width]
    if rng.random() < 0.5:
        window = window[::-1]
    if rng.random() < 0.5:
        window = window[:, ::-1]
    return window


@lru_cache(maxsize=8)
def vignette(height: int, width: int, strength: float) -> Float32Array:
    """``(height, width)`` share of light that the lens lets through, 1 in the middle."""
    rows = (np.arange(height, dtype=np.float32) - height / 2)[:, None]
    columns = (np.arange(width, dtype=np.float32) - width / 2)[None, :]
    half_diagonal_squared = (height**2 + width**2) / 4
    falloff = (rows**2 + columns**2) / half_diagonal_squared
    return np.asarray(1 - strength * falloff, dtype=np.float32)


def expose(
    light: Float32Array,
    rng: np.random.Generator,
    *,
    gain: float = 1.0,
    blur_px: float = 0.62,
    vignetting: float = 0.2,
    tint_rgb: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> UInt8Array:
    """What the camera delivers for the light that falls on it.

    Args:
        light: ``(height, width)`` float32, 1 is white. Changed in place.
        rng: For the sensor noise.
        gain: Of lamp and exposure together.
        blur_px: Standard deviation of the lens, pixels.
        vignetting: Light lost in the corners, share.
        tint_rgb: Of lamp and surface; all 1 for a monochrome camera.

    Returns:
        ``(height, width, 3)`` uint8 RGB.
    """
    import cv2

    height, width = light.shape
    light *= vignette(height, width, vignetting)
    light *= np.float32(gain)
    light = blurred(light, blur_px)
    np.clip(light, 0, 1.2, out=light)
    noise = noise_window(rng, height, width, name="sensor", sigma_x=0.0, sigma_y=0.0)
    deviation = np.sqrt(
        light * np.float32(1 / FULL_WELL) + np.float32((READ_NOISE / FULL_WELL) ** 2)
    )
    light += noise * deviation
    # Highlights roll off instead of clipping hard, as behind a usual camera curve.
    shoulder = np.float32(0.82)
    over = np.maximum(light - shoulder, 0)
    light -= over
    light += over / (1 + over * np.float32(3.2))
    light *= 255
    if tint_rgb == (1.0, 1.0, 1.0):
        grey = np.clip(light + 0.5, 0, 255).astype(np.uint8)
        return np.asarray(cv2.merge([grey, grey, grey]), dtype=np.uint8)
    channels = [
        np.clip(light * np.float32(tint) + 0.5, 0, 255).astype(np.uint8) for tint in tint_rgb
    ]
    return np.asarray(cv2.merge(channels), dtype=np.uint8)
