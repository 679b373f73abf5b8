"""A plain-woven filter cloth in raking light, seen by a colour camera: yarns with a height.

The light comes from the height of the yarns, so that a pulled, broken or missing one changes
shadows as it does on cloth. Places are pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from detection.protocol import BoolArray, Float32Array, Float64Array
from detection.samples.camera import blurred, noise_window
from detection.samples.marks import Mark, blob, curve, shifted, wander
from detection.samples.ring import lot_rng

FAMILIES: Final = {
    "missing_yarn": "structural",
    "hole": "structural",
    "snag": "surface",
    "crease": "surface",
    "stain": "contamination",
    "fibre": "contamination",
    "combined": "combined",
}
PITCH_PX: Final = 10.5
PX_PER_MM: Final = 14.0
_TABLE_PER_PX: Final = 8  # resolution of the table from place to yarn
_MARGIN_PX: Final = 90  # a turned picture reaches beyond its own edges


@dataclass(slots=True)
class Weave:
    """The cloth before it is lit; defects change it here.

    Attributes:
        shift_x: ``(height, width)`` float32 pixels by which yarns are pulled to the right.
        shift_y: The same, down.
        drop_warp: ``(height, width)`` float32 in [0, 1]: how far upright yarns are gone.
        drop_weft: The same for lying yarns.
        dirt: ``(height, width)`` float32 factor on the light, 1 is clean.
        fold: ``(height, width)`` float32 added to the light, by a bend of the cloth.
    """

    shift_x: Float32Array
    shift_y: Float32Array
    drop_warp: Float32Array
    drop_weft: Float32Array
    dirt: Float32Array
    fold: Float32Array


def flat_weave(height: int, width: int) -> Weave:
    """A cloth to which nothing has happened."""
    zero = [np.zeros((height, width), np.float32) for _ in range(5)]
    one = np.ones((height, width), np.float32)
    return Weave(zero[0], zero[1], zero[2], zero[3], one, zero[4])


def render_cloth(weave: Weave, lot: str, rng: np.random.Generator) -> Float32Array:
    """``(height, width)`` float32 light on the cloth, 1 is white."""
    import cv2

    height, width = weave.dirt.shape
    turn = float(rng.normal(0, 0.022))
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    rows = np.arange(height, dtype=np.float32)[:, None]
    columns = np.arange(width, dtype=np.float32)[None, :]
    wave_x = noise_window(rng, height, width, name="wavex", sigma_x=45.0, sigma_y=80.0)
    wave_y = noise_window(rng, height, width, name="wavey", sigma_x=80.0, sigma_y=45.0)
    x = columns * cos - rows * sin + np.float32(1.7) * wave_x - weave.shift_x
    y = rows * cos + columns * sin + np.float32(1.7) * wave_y - weave.shift_y

    own = lot_rng(lot + "/cloth")
    pitch = PITCH_PX * float(1 + own.normal(0, 0.012))
    tone = float(1 + own.normal(0, 0.035))
    slub = float(0.055 * (1 + own.normal(0, 0.15)))
    warp_in, warp_no, warp_tone = _yarns(rng, width, pitch, slub, x)
    weft_in, weft_no, weft_tone = _yarns(rng, height, pitch * 1.06, slub, y)

    # Each yarn is round across and swings over and under along; neighbours swing opposite.
    over = (1 - 2 * ((weft_no + warp_no) & 1)).astype(np.float32) * np.float32(0.62)
    warp_z = _round(warp_in) + over * np.sin(np.float32(np.pi) * weft_in)
    weft_z = _round(weft_in) - over * np.sin(np.float32(np.pi) * warp_in)
    warp_z -= np.float32(2.4) * weave.drop_warp
    weft_z -= np.float32(2.4) * weave.drop_weft
    warp_on_top = warp_z > weft_z
    top = np.maximum(np.maximum(warp_z, weft_z), np.float32(-0.35))

    along_warp = noise_window(rng, height, width, name="fibrew", sigma_x=0.7, sigma_y=3.2)
    along_weft = noise_window(rng, height, width, name="fibref", sigma_x=3.2, sigma_y=0.7)
    fibres = np.where(warp_on_top, along_warp, along_weft)
    top += np.float32(0.045) * fibres
    soft = blurred(top.astype(np.float32), 0.75)
    slope_x = cv2.Sobel(soft, cv2.CV_32F, 1, 0, ksize=3, scale=0.25)
    slope_y = cv2.Sobel(soft, cv2.CV_32F, 0, 1, ksize=3, scale=0.25)
    lamp_turn = 0.62 + float(rng.normal(0, 0.03))
    raking = slope_x * np.float32(np.cos(lamp_turn)) + slope_y * np.float32(np.sin(lamp_turn))
    depth = np.clip((soft + np.float32(0.35)) * np.float32(0.62), 0, 1)
    light = np.float32(0.74) * (np.float32(0.30) + np.float32(0.70) * depth)
    light *= 1 + np.float32(1.05) * raking
    light *= np.where(warp_on_top, warp_tone, weft_tone)
    light *= 1 + np.float32(0.035) * fibres
    cloud = noise_window(rng, height, width, name="cloud", sigma_x=70.0, sigma_y=40.0)
    light *= np.float32(tone) * (1 + np.float32(0.012) * cloud)
    light *= _lamp_fall(height, width) * weave.dirt
    light += weave.fold * light
    return np.asarray(np.clip(light, 0.015, 1.3), dtype=np.float32)


def _yarns(
    rng: np.random.Generator, extent: int, pitch: float, slub: float, place: Float32Array
) -> tuple[Float32Array, np.ndarray[tuple[int, ...], np.dtype[np.int32]], Float32Array]:
    """For each pixel: place inside its yarn in [0, 1), number of the yarn, tone of the yarn."""
    count = int((extent + 2 * _MARGIN_PX) / pitch) + 4
    widths = pitch * np.clip(1 + rng.normal(0, slub, count), 0.8, 1.25)
    edges = np.concatenate([[0.0], np.cumsum(widths)]) - _MARGIN_PX
    tones = (1 + rng.normal(0, 0.045, count)).astype(np.float32)
    table_place = np.arange(-_MARGIN_PX, extent + _MARGIN_PX, 1 / _TABLE_PER_PX)
    number = np.clip(np.searchsorted(edges, table_place, side="right") - 1, 0, count - 1)
    inside = ((table_place - edges[number]) / widths[number]).astype(np.float32)
    index = ((place + np.float32(_MARGIN_PX)) * np.float32(_TABLE_PER_PX)).astype(np.int32)
    np.clip(index, 0, table_place.size - 1, out=index)
    yarn = number.astype(np.int32)
    return inside[index], yarn[index], tones[yarn][index]


def _round(inside: Float32Array) -> Float32Array:
    across = 2 * inside - 1
    return np.asarray(np.sqrt(np.maximum(1 - np.float32(0.94) * across * across, 0)), np.float32)


@lru_cache(maxsize=4)
def _lamp_fall(height: int, width: int) -> Float32Array:
    rows = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    columns = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    return np.asarray(1.0 - 0.10 * columns - 0.07 * rows - 0.05 * columns**2, dtype=np.float32)


def add_defect(weave: Weave, defect: str, rng: np.random.Generator) -> BoolArray:
    """Do one defect to the cloth and return where it is, ``(height, width)`` bool."""
    height, width = weave.dirt.shape
    centre = (float(rng.uniform(0.12, 0.88) * width), float(rng.uniform(0.12, 0.88) * height))
    if defect == "combined":
        first, second = rng.choice(len(_COMBINED), 2, replace=False)
        mask = _DRAW[_COMBINED[first]](weave, centre, rng)
        near = (centre[0] + float(rng.uniform(-30, 30)), centre[1] + float(rng.uniform(-30, 30)))
        return mask | _DRAW[_COMBINED[second]](weave, near, rng)
    return _DRAW[defect](weave, centre, rng)


def _put(target: Float32Array, mark: Mark, value: float) -> None:
    np.maximum(target[mark.place], np.float32(value) * mark.coverage, out=target[mark.place])


def _missing_yarn(weave: Weave, centre: tuple[float, float], rng: np.random.Generator) -> BoolArray:
    """One yarn is broken and has slipped out for some centimetres."""
    height, width = weave.dirt.shape
    lying = bool(rng.random() < 0.5)
    half = float(rng.uniform(28, 120)) / 2
    points = np.array([centre, centre])
    points[0, 0 if lying else 1] -= half
    points[1, 0 if lying else 1] += half
    mark = curve(points, PITCH_PX * 0.9, height=height, width=width)
    if mark is None:
        return np.zeros((height, width), bool)
    _put(weave.drop_weft if lying else weave.drop_warp, mark, float(rng.uniform(0.75, 1.0)))
    return mark.mask(height, width, above=0.5)


def _hole(weave: Weave, centre: tuple[float, float], rng: np.random.Generator) -> BoolArray:
    height, width = weave.dirt.shape
    mark = blob(
        rng,
        centre,
        float(rng.uniform(6, 15)),
        height=height,
        width=width,
        aspect=float(rng.uniform(0.7, 1.5)),
        angle=float(rng.uniform(0, np.pi)),
        softness=0.3,
    )
    if mark is None:
        return np.zeros((height, width), bool)
    _put(weave.drop_warp, mark, 1.0)
    _put(weave.drop_weft, mark, 1.0)
    _pull(weave, centre, 26.0, float(rng.uniform(1.5, 3.5)))
    return mark.mask(height, width, above=0.3)


def _pull(weave: Weave, centre: tuple[float, float], reach: float, strength: float) -> None:
    """Push the yarns around a place outwards."""
    height, width = weave.dirt.shape
    dy = (np.arange(height, dtype=np.float32) - np.float32(centre[1]))[:, None]
    dx = (np.arange(width, dtype=np.float32) - np.float32(centre[0]))[None, :]
    distance = np.hypot(dx, dy) / np.float32(reach)
    push = np.float32(strength) * np.exp(-distance * distance) / np.maximum(distance, 0.2)
    weave.shift_x += push * dx / np.float32(reach)
    weave.shift_y += push * dy / np.float32(reach)


def _snag(weave: Weave, centre: tuple[float, float], rng: np.random.Generator) -> BoolArray:
    """A yarn was caught and pulled: the weave is drawn together along it."""
    height, width = weave.dirt.shape
    lying = bool(rng.random() < 0.5)
    length = float(rng.uniform(40, 90))
    spread = float(rng.uniform(7, 12))
    strength = float(rng.uniform(5.0, 9.0)) * (1 if rng.random() < 0.5 else -1)
    dy = (np.arange(height, dtype=np.float32) - np.float32(centre[1]))[:, None]
    dx = (np.arange(width, dtype=np.float32) - np.float32(centre[0]))[None, :]
    along, across = (dx, dy) if lying else (dy, dx)
    bump = np.exp(-((along / np.float32(length / 2)) ** 2) - (across / np.float32(spread)) ** 2)
    if lying:
        weave.shift_y += np.float32(strength) * bump
    else:
        weave.shift_x += np.float32(strength) * bump
    weave.fold += np.float32(0.26) * bump * (across / np.float32(spread))
    return np.asarray(bump > 0.30)


def _crease(weave: Weave, centre: tuple[float, float], rng: np.random.Generator) -> BoolArray:
    height, width = weave.dirt.shape
    turn = float(rng.uniform(0, np.pi))
    length, spread = float(rng.uniform(90, 260)), float(rng.uniform(5, 9))
    strength = float(rng.uniform(0.20, 0.34))
    dy = (np.arange(height, dtype=np.float32) - np.float32(centre[1]))[:, None]
    dx = (np.arange(width, dtype=np.float32) - np.float32(centre[0]))[None, :]
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    along, across = dx * cos + dy * sin, dy * cos - dx * sin
    across = across + np.float32(9) * np.sin(along / np.float32(0.4 * length))
    ends = 1 / (1 + np.exp((np.abs(along) - np.float32(length / 2)) / np.float32(9)))
    ridge = np.exp(-((across / np.float32(spread)) ** 2)) * ends
    weave.fold += np.float32(strength) * ridge * (across / np.float32(0.6 * spread))
    weave.shift_y += np.float32(1.6) * ridge
    return np.asarray(ridge > 0.3)


def _stain(weave: Weave, centre: tuple[float, float], rng: np.random.Generator) -> BoolArray:
    height, width = weave.dirt.shape
    dark = float(rng.uniform(0.16, 0.34))
    mark = blob(
        rng,
        centre,
        float(rng.uniform(12, 36)),
        height=height,
        width=width,
        aspect=float(rng.uniform(0.6, 1.7)),
        angle=float(rng.uniform(0, np.pi)),
        wobble=0.3,
        softness=0.5,
    )
    if mark is None:
        return np.zeros((height, width), bool)
    edge = 4 * mark.coverage * (1 - mark.coverage)
    weave.dirt[mark.place] *= 1 - np.float32(dark) * (mark.coverage + np.float32(0.35) * edge)
    return mark.mask(height, width, above=0.35)


def _fibre(weave: Weave, centre: tuple[float, float], rng: np.random.Generator) -> BoolArray:
    height, width = weave.dirt.shape
    points: Float64Array = wander(
        rng,
        centre,
        float(rng.uniform(4, 10)),
        px_per_mm=PX_PER_MM,
        heading=float(rng.uniform(0, 2 * np.pi)),
        bend=float(rng.uniform(0.4, 0.9)),
    )
    mark = curve(points, float(rng.uniform(1.2, 2.2)), height=height, width=width)
    if mark is None:
        return np.zeros((height, width), bool)
    shadow = shifted(mark, -2, -2, blur_px=1.8, height=height, width=width)
    weave.dirt[shadow.place] *= 1 - np.float32(0.25) * shadow.coverage
    weave.dirt[mark.place] *= 1 - np.float32(rng.uniform(0.5, 0.78)) * mark.coverage
    return mark.mask(height, width)


_COMBINED: Final = ("hole", "snag", "stain", "fibre", "crease")
_DRAW: Final[dict[str, Callable[[Weave, tuple[float, float], np.random.Generator], BoolArray]]] = {
    "missing_yarn": _missing_yarn,
    "hole": _hole,
    "snag": _snag,
    "crease": _crease,
    "stain": _stain,
    "fibre": _fibre,
}
