"""What can be wrong with a flange ring, drawn into its light with an exact mask."""

from collections.abc import Callable
from typing import Final

import numpy as np

from detection.protocol import BoolArray, Float64Array
from detection.samples.camera import blurred, noise_window
from detection.samples.marks import Mark, blob, curve, shifted, wander
from detection.samples.ring import BORE_MM, HOLES, OUTER_MM, Placement, RingLight

FAMILIES: Final = {
    "missing_hole": "structural",
    "chip": "structural",
    "scratch": "surface",
    "dent": "surface",
    "stain": "contamination",
    "fibre": "contamination",
    "combined": "combined",
}
VISIBLE: Final = 0.02  # of white: five grey levels, above the sensor's noise
_SURFACE_MARKS: Final = ("scratch", "dent", "stain", "fibre")


def add_defect(
    scene: RingLight, at: Placement, defect: str, *, where: float, rng: np.random.Generator
) -> BoolArray:
    """Draw one defect into the scene and return where it is.

    Args:
        scene: Changed in place.
        at: The placement the scene was rendered with.
        defect: A key of ``FAMILIES``.
        where: Angle on the ring near which it lies, radians.
        rng: Decides size, strength and form; the same seed gives the same on every view.

    Returns:
        ``(height, width)`` bool; all False where the view does not show the place.
    """
    if defect == "missing_hole":
        found = scene.hole_mask
        return np.zeros(scene.light.shape, bool) if found is None else found
    if defect == "combined":
        first, second = rng.choice(len(_SURFACE_MARKS), 2, replace=False)
        mask = add_defect(scene, at, _SURFACE_MARKS[first], where=where, rng=rng)
        apart = float(rng.uniform(0.08, 0.2))
        return mask | add_defect(scene, at, _SURFACE_MARKS[second], where=where + apart, rng=rng)
    return _DRAW[defect](scene, at, where, rng)


def hole_near(where: float) -> int:
    """Number of the bolt hole nearest to an angle on the ring."""
    return round(where / (2 * np.pi / HOLES)) % HOLES


def _nothing(at: Placement) -> BoolArray:
    return np.zeros((at.height, at.width), dtype=bool)


def _on_metal(scene: RingLight, mark: Mark) -> Mark:
    """The part of a mark that lies on the ring: nothing is scratched beside it."""
    return Mark(mark.top, mark.left, mark.coverage * scene.metal[mark.place])


def _face_radius(rng: np.random.Generator) -> float:
    """A place on the flat face, between the grooves or just beside them."""
    return float(rng.uniform(BORE_MM + 4, OUTER_MM - 5))


def _scratch(scene: RingLight, at: Placement, where: float, rng: np.random.Generator) -> BoolArray:
    radius = _face_radius(rng)
    # Across the turning marks: along them nobody could tell it from one.
    heading = where + float(rng.uniform(-1.15, 1.15))
    length_mm = float(rng.uniform(12, 34))
    bend, wide = float(rng.uniform(0.01, 0.09)), float(rng.uniform(0.22, 0.42))
    strength = float(rng.uniform(0.30, 0.60))
    start = at.to_px(radius, where)
    points = wander(
        rng, start, length_mm, px_per_mm=at.px_per_mm, heading=heading + at.angle, bend=bend
    )
    run = np.linspace(0, np.pi, len(points))
    levels: Float64Array = np.sin(run) ** 0.6 * rng.uniform(0.55, 1.0, len(points))
    skips = rng.random(len(points)) < 0.07  # where the tool bounced
    levels[skips] *= 0.25
    mark = curve(
        points,
        np.maximum(wide * at.px_per_mm * (0.6 + 0.4 * np.sin(run)), 0.5),
        height=at.height,
        width=at.width,
        strength=levels,
    )
    if mark is None:
        return _nothing(at)
    mark = _on_metal(scene, mark)
    lamp = at.lamp_direction(*start)
    # One flank of the furrow shines, the other lies in shadow.
    dark = shifted(
        mark,
        round(1.4 * lamp[0]),
        round(1.4 * lamp[1]),
        blur_px=0.6,
        height=at.height,
        width=at.width,
    )
    shade = np.float32(0.9 * strength) * dark.coverage * scene.metal[dark.place]
    scene.light[dark.place] *= 1 - shade
    scene.light[mark.place] += np.float32(strength) * mark.coverage
    return mark.mask(at.height, at.width, above=0.15)


def _dent(scene: RingLight, at: Placement, where: float, rng: np.random.Generator) -> BoolArray:
    radius, size = _face_radius(rng), float(rng.uniform(1.5, 3.6))
    depth = float(rng.uniform(0.35, 0.8))
    aspect, turn = float(rng.uniform(0.6, 1.7)), float(rng.uniform(0, np.pi))
    centre = at.to_px(radius, where)
    mark = blob(
        rng,
        centre,
        size * at.px_per_mm,
        height=at.height,
        width=at.width,
        aspect=aspect,
        angle=turn + at.angle,
        wobble=0.16,
        softness=1.1,
    )
    if mark is None:
        return _nothing(at)
    import cv2

    soft = blurred(mark.coverage, 0.22 * size * at.px_per_mm)
    lamp = at.lamp_direction(*centre)
    slope = cv2.Sobel(soft, cv2.CV_32F, 1, 0, ksize=3) * np.float32(lamp[0])
    slope += cv2.Sobel(soft, cv2.CV_32F, 0, 1, ksize=3) * np.float32(lamp[1])
    slope *= np.float32(size * at.px_per_mm / 8)
    metal = scene.metal[mark.place]
    change = np.clip(slope * np.float32(0.95 * depth), -0.5, 0.4)
    scene.light[mark.place] *= 1 + metal * (change - np.float32(0.10 * depth) * soft)
    return Mark(mark.top, mark.left, np.asarray(soft * metal, np.float32)).mask(
        at.height, at.width, above=0.22
    )


def _stain(scene: RingLight, at: Placement, where: float, rng: np.random.Generator) -> BoolArray:
    radius, size = _face_radius(rng), float(rng.uniform(3.2, 7.5))
    dark = float(rng.uniform(0.14, 0.32))
    aspect, turn = float(rng.uniform(0.5, 2.0)), float(rng.uniform(0, np.pi))
    mark = blob(
        rng,
        at.to_px(radius, where),
        size * at.px_per_mm,
        height=at.height,
        width=at.width,
        aspect=aspect,
        angle=turn + at.angle,
        wobble=0.3,
        softness=0.3,
    )
    if mark is None:
        return _nothing(at)
    mark = _on_metal(scene, mark)
    inside = mark.coverage
    edge = 4 * inside * (1 - inside)  # dried liquid leaves more at its rim
    rows, columns = inside.shape
    cloud = noise_window(rng, rows, columns, name="cloudlet", sigma_x=5.0, sigma_y=5.0)
    cover = (
        inside * np.float32(dark) * (1 + np.float32(0.25) * cloud) + np.float32(0.5 * dark) * edge
    )
    scene.light[mark.place] *= 1 - np.clip(cover, 0, 0.6)
    return mark.mask(at.height, at.width, above=0.3)


def _fibre(scene: RingLight, at: Placement, where: float, rng: np.random.Generator) -> BoolArray:
    radius, heading = _face_radius(rng), float(rng.uniform(0, 2 * np.pi))
    length_mm, bend = float(rng.uniform(14, 34)), float(rng.uniform(0.25, 0.6))
    tone = float(rng.uniform(0.05, 0.12) if rng.random() < 0.6 else rng.uniform(0.85, 1.0))
    thick = float(rng.uniform(0.22, 0.34))
    points = wander(
        rng,
        at.to_px(radius, where),
        length_mm,
        px_per_mm=at.px_per_mm,
        heading=heading + at.angle,
        bend=bend,
    )
    mark = curve(points, max(thick * at.px_per_mm, 0.8), height=at.height, width=at.width)
    if mark is None:
        return _nothing(at)
    lamp = at.lamp_direction(*at.to_px(radius, where))
    gap = 0.35 * at.px_per_mm  # it does not lie flat
    shadow = shifted(
        mark,
        round(-gap * lamp[0] - lamp[0]),
        round(-gap * lamp[1] - lamp[1]),
        blur_px=0.3 * at.px_per_mm,
        height=at.height,
        width=at.width,
    )
    scene.light[shadow.place] *= 1 - np.float32(0.35) * shadow.coverage
    light = scene.light[mark.place]
    cover = mark.coverage * np.float32(0.85)
    change = (np.float32(tone) - light) * cover
    scene.light[mark.place] = light + change
    mask = mark.mask(at.height, at.width)
    mask[mark.place] &= np.abs(change) > VISIBLE  # dark on dark is not to be found by anybody
    return mask


def _chip(scene: RingLight, at: Placement, where: float, rng: np.random.Generator) -> BoolArray:
    outside = bool(rng.random() < 0.6)
    size = float(rng.uniform(2.6, 5.2))
    edge = OUTER_MM + 0.25 * size if outside else BORE_MM - 0.25 * size
    aspect = float(rng.uniform(1.1, 1.9))
    centre = at.to_px(edge, where)
    turn = where + at.angle + np.pi / 2
    bite = blob(
        rng,
        centre,
        size * at.px_per_mm,
        height=at.height,
        width=at.width,
        aspect=aspect,
        angle=turn,
        wobble=0.42,
        softness=0.12,
    )
    if bite is None:
        return _nothing(at)
    rows, columns = bite.coverage.shape
    metal = scene.metal[bite.place]
    plate = scene.plate[bite.place]
    # What broke: rough, mostly in shadow, with bright crystals; deepest at the edge.
    rough = noise_window(rng, rows, columns, name="rough", sigma_x=1.1, sigma_y=1.1)
    coarse = noise_window(rng, rows, columns, name="roughbig", sigma_x=3.0, sigma_y=3.0)
    broken = np.float32(0.34) + np.float32(0.10) * rough + np.float32(0.07) * coarse
    ys = (np.arange(rows, dtype=np.float32) + bite.top - at.centre_xy[1])[:, None]
    xs = (np.arange(columns, dtype=np.float32) + bite.left - at.centre_xy[0])[None, :]
    radius = np.hypot(xs, ys) / at.px_per_mm
    from_edge = (OUTER_MM - radius) if outside else (radius - BORE_MM)
    gone = np.clip((0.36 * size - from_edge) * at.px_per_mm * 0.6 + 0.5, 0, 1)
    inside = broken * (1 - gone) + plate * gone
    rim = np.clip(4 * bite.coverage * (1 - bite.coverage), 0, 1)
    cover = bite.coverage * metal
    light = scene.light[bite.place]
    light = light * (1 - cover) + inside.astype(np.float32) * cover
    left = metal * (1 - bite.coverage * gone.astype(np.float32))
    scene.light[bite.place] = light + np.float32(0.13) * rim * left * left
    scene.metal[bite.place] = left
    return Mark(bite.top, bite.left, np.asarray(cover, np.float32)).mask(at.height, at.width)


_DRAW: Final[dict[str, Callable[[RingLight, Placement, float, np.random.Generator], BoolArray]]] = {
    "chip": _chip,
    "scratch": _scratch,
    "dent": _dent,
    "stain": _stain,
    "fibre": _fibre,
}
