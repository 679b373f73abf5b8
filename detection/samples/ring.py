"""A machined flange ring on its fixture, seen by a monochrome camera under a soft lamp.

The light is computed from a radial profile, so that edges, grooves, turning marks and the
lamp's two fans move as they do on metal. Millimetres, x to the right, y down.
"""

import zlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import numpy as np

from detection.protocol import BoolArray, Float32Array
from detection.samples.camera import blurred
from detection.samples.fixture import fixture_light

OUTER_MM: Final = 58.0
BORE_MM: Final = 28.0
BOLT_CIRCLE_MM: Final = 43.3
HOLE_MM: Final = 3.4
SINK_MM: Final = 4.5
HOLES: Final = 6
GROOVES_MM: Final = (34.2, 51.6)
ENGRAVED: Final = "FR 62-204"
_PROFILE_STEP_MM: Final = 1 / 64


@dataclass(frozen=True, slots=True)
class Placement:
    """Where and how one ring lies in front of one camera, and how it is lit.

    Attributes:
        width: Pixels.
        height: Pixels.
        px_per_mm: Scale.
        centre_xy: Pixel of the ring's centre.
        fixture_xy: Pixel of the fixture's centre, which stands still.
        angle: By which the ring is turned, radians clockwise.
        lamp_xy: Where the lamp stands, mm from the centre of the ring.
        lamp_height: mm.
        lot: Its machining and its tone.
        missing_hole: Number of a hole that was not drilled.
    """

    width: int
    height: int
    px_per_mm: float
    centre_xy: tuple[float, float]
    fixture_xy: tuple[float, float]
    angle: float
    lamp_xy: tuple[float, float]
    lamp_height: float
    lot: str
    missing_hole: int | None = None

    def to_px(self, radius_mm: float, angle: float) -> tuple[float, float]:
        """Pixel of a place given by radius and angle on the ring itself."""
        turned = angle + self.angle
        return (
            self.centre_xy[0] + self.px_per_mm * radius_mm * float(np.cos(turned)),
            self.centre_xy[1] + self.px_per_mm * radius_mm * float(np.sin(turned)),
        )

    def lamp_direction(self, x_px: float, y_px: float) -> tuple[float, float]:
        """Unit vector in the image from a pixel towards the lamp."""
        dx = self.centre_xy[0] + self.px_per_mm * self.lamp_xy[0] - x_px
        dy = self.centre_xy[1] + self.px_per_mm * self.lamp_xy[1] - y_px
        norm = float(np.hypot(dx, dy)) or 1.0
        return dx / norm, dy / norm


@dataclass(slots=True)
class RingLight:
    """The light of one scene and where in it there is metal.

    Attributes:
        light: ``(height, width)`` float32, 1 is white.
        metal: ``(height, width)`` float32 coverage by the ring, holes taken out.
        plate: ``(height, width)`` float32 light of what lies beneath, shadows included.
        hole_mask: True on the place of a hole that is missing.
    """

    light: Float32Array
    metal: Float32Array
    plate: Float32Array
    hole_mask: BoolArray | None = field(default=None)


def lot_rng(lot: str) -> np.random.Generator:
    """The generator that decides what all parts of a lot have in common."""
    return np.random.default_rng(zlib.crc32(lot.encode()))


def render_ring(at: Placement, rng: np.random.Generator) -> RingLight:
    """The light on one good ring (but for a hole that ``at`` leaves out)."""
    import cv2

    x_mm = ((np.arange(at.width, dtype=np.float32) - at.centre_xy[0]) / at.px_per_mm)[None, :]
    y_mm = ((np.arange(at.height, dtype=np.float32) - at.centre_xy[1]) / at.px_per_mm)[:, None]
    x_all = np.repeat(np.asarray(x_mm, np.float32), at.height, axis=0)
    y_all = np.repeat(np.asarray(y_mm, np.float32), at.width, axis=1)
    polar = cv2.cartToPolar(x_all, y_all)
    radius, theta = np.asarray(polar[0], np.float32), np.asarray(polar[1], np.float32)
    inverse = np.asarray(1 / np.maximum(radius, np.float32(1e-3)), np.float32)
    out_x = np.asarray(x_all * inverse, np.float32)
    out_y = np.asarray(y_all * inverse, np.float32)

    plate = _plate(at, radius, x_all, y_all, rng)
    metal = _coverage(radius, at.px_per_mm)
    light = _metal_light(at, radius, theta, out_x, out_y)
    _engrave(light, at)
    scene = RingLight(light, metal, plate)
    for number in range(HOLES):
        if number == at.missing_hole:
            scene.hole_mask = _hole_place(at, number)
            _punch_mark(scene, at, number)
        else:
            _drill(scene, at, number)
    scene.light = plate + metal * (light - plate)
    for number in range(HOLES):
        around = None if number == at.missing_hole else _around_hole(at, number)
        if around is not None:  # only now: composing needs the holes to count as metal
            place, distance, _ = around
            scene.metal[place] *= np.clip((distance - np.float32(HOLE_MM)) * at.px_per_mm, 0, 1)
    return scene


def _coverage(radius: Float32Array, px_per_mm: float) -> Float32Array:
    outer = np.clip((np.float32(OUTER_MM) - radius) * np.float32(px_per_mm) + 0.5, 0, 1)
    inner = np.clip((radius - np.float32(BORE_MM)) * np.float32(px_per_mm) + 0.5, 0, 1)
    return np.asarray(outer * inner, dtype=np.float32)


@lru_cache(maxsize=32)
def _profile(lot: str) -> tuple[Float32Array, Float32Array]:
    """Along the radius: cosine and sine of the surface's tilt (positive: rises outwards)."""

    radius = np.arange(0, OUTER_MM + 40, _PROFILE_STEP_MM)
    slope = np.zeros_like(radius)
    slope[(radius > OUTER_MM - 1.5)] = -0.62
    slope[(radius < BORE_MM + 1.3)] = 0.60
    slope[(radius > OUTER_MM - 5.2) & (radius < OUTER_MM - 4.9)] = -0.25
    for groove in GROOVES_MM:
        slope[(radius > groove - 0.42) & (radius <= groove)] = -0.75
        slope[(radius > groove) & (radius < groove + 0.42)] = 0.75
    # Turning: feed marks of the tool, slightly different in each lot.
    rng = lot_rng(lot)
    marks = rng.standard_normal(radius.size).astype(np.float32)
    fine = blurred(marks[None], 3.5)[0]
    broad = blurred(marks[None], 26.0)[0]
    slope += 0.032 * fine / fine.std() + 0.020 * broad / broad.std()
    slope = blurred(slope.astype(np.float32)[None], 5.0)[0]
    norm = np.sqrt(1 + slope**2)
    return (1 / norm).astype(np.float32), (slope / norm).astype(np.float32)


@lru_cache(maxsize=32)
def _turned_texture(lot: str) -> Float32Array:
    """``(angles, radii)`` light and dark arcs of a turned face; wraps in the angle."""

    rng = lot_rng(lot + "/texture")
    angles, radii = 1024, 720
    long_arcs = rng.standard_normal((angles, radii), np.float32)
    pad = 160
    wrapped = np.concatenate([long_arcs[-pad:], long_arcs, long_arcs[:pad]])
    long_arcs = blurred(wrapped, 0.75, 42)[pad:-pad]
    short = rng.standard_normal((angles, radii), np.float32)
    wrapped = np.concatenate([short[-pad:], short, short[:pad]])
    short = blurred(wrapped, 0.6, 9)[pad:-pad]
    texture = long_arcs / long_arcs.std() + 0.45 * short / short.std()
    return np.asarray(np.concatenate([texture, texture[:2]]), dtype=np.float32)


def _metal_light(
    at: Placement,
    radius: Float32Array,
    theta: Float32Array,
    out_x: Float32Array,
    out_y: Float32Array,
) -> Float32Array:
    import cv2

    cosine, sine = _profile(at.lot)
    index = (radius * np.float32(1 / _PROFILE_STEP_MM)).astype(np.int32)
    np.minimum(index, cosine.size - 1, out=index)
    tilt_cos, tilt_sin = cosine[index], sine[index]

    lamp_x, lamp_y = np.float32(at.lamp_xy[0]), np.float32(at.lamp_xy[1])
    high = np.float32(at.lamp_height)
    radial_lamp = lamp_x * out_x + lamp_y * out_y  # towards the lamp, along the radius
    to_lamp = radial_lamp - radius
    around = lamp_y * out_x - lamp_x * out_y  # along the turning marks: the same everywhere on them
    distance = np.sqrt(to_lamp * to_lamp + around * around + high * high)
    lambert = (tilt_cos * high - tilt_sin * to_lamp) / distance
    np.maximum(lambert, 0, out=lambert)
    near = high * high / (distance * distance)

    # Turning marks throw light in a fan at right angles to themselves (Kajiya 1985); across
    # them the lobe is wide, along them narrow.
    half_along = around / (distance + high)
    half_across = to_lamp / (distance + high)
    fan = np.exp(-(half_along * half_along) * np.float32(34.0))
    lean = half_across + tilt_sin * np.float32(1.25)
    lobe = np.exp(-(lean * lean) * np.float32(5.0))

    lot = lot_rng(at.lot + "/tone")
    tone = np.float32(1 + lot.normal(0, 0.035))
    grain = np.float32(0.030 * (1 + lot.normal(0, 0.12)))
    texture = cv2.remap(
        _turned_texture(at.lot),
        (radius - np.float32(BORE_MM - 1)) * np.float32(720 / (OUTER_MM - BORE_MM + 2)),
        np.mod(theta - np.float32(at.angle), np.float32(2 * np.pi))
        * np.float32(1024 / (2 * np.pi)),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )
    # Edges that lean over mirror the bright surroundings on the lamp's side.
    facing = radial_lamp * np.float32(1 / max(float(np.hypot(*at.lamp_xy)), 1.0))
    light = np.float32(0.15) + np.float32(0.66) * lambert * near
    light -= np.float32(0.42) * tilt_sin * facing
    light += np.float32(0.42) * fan * lobe
    light *= tone
    light *= 1 + grain * texture * (np.float32(0.7) + np.float32(1.4) * fan)
    return np.asarray(light, dtype=np.float32)


def _window(
    at: Placement, centre: tuple[float, float], reach_mm: float
) -> tuple[slice, slice] | None:
    reach = int(reach_mm * at.px_per_mm) + 3
    top, left = max(0, int(centre[1]) - reach), max(0, int(centre[0]) - reach)
    bottom = min(at.height, int(centre[1]) + reach + 1)
    right = min(at.width, int(centre[0]) + reach + 1)
    if bottom - top < 1 or right - left < 1:
        return None
    return slice(top, bottom), slice(left, right)


def _around_hole(
    at: Placement, number: int
) -> tuple[tuple[slice, slice], Float32Array, Float32Array] | None:
    """Window of a hole, distance from its centre in mm, and how far each pixel faces the lamp."""
    centre = at.to_px(BOLT_CIRCLE_MM, number * 2 * np.pi / HOLES)
    place = _window(at, centre, SINK_MM + 1.5)
    if place is None:
        return None
    rows = (np.arange(place[0].start, place[0].stop, dtype=np.float32) - centre[1])[:, None]
    columns = (np.arange(place[1].start, place[1].stop, dtype=np.float32) - centre[0])[None, :]
    distance = np.hypot(rows, columns)
    lamp = at.lamp_direction(*centre)
    facing = (columns * np.float32(lamp[0]) + rows * np.float32(lamp[1])) / np.maximum(distance, 1)
    return place, np.asarray(distance / at.px_per_mm, np.float32), np.asarray(facing, np.float32)


def _drill(scene: RingLight, at: Placement, number: int) -> None:
    around = _around_hole(at, number)
    if around is None:
        return
    place, distance, facing = around
    scale = np.float32(at.px_per_mm)
    face = scene.light[place]
    cone = np.float32(0.55) - np.float32(0.36) * facing
    wall = np.float32(0.075) + np.float32(0.34) * np.maximum(-facing, 0) * (
        np.clip((distance - np.float32(HOLE_MM - 1.1)) / np.float32(1.1), 0, 1) ** 2
    )
    in_sink = np.clip((np.float32(SINK_MM) - distance) * scale + 0.5, 0, 1)
    in_hole = np.clip((np.float32(HOLE_MM) - distance) * scale + 0.5, 0, 1)
    rim = np.exp(-(((distance - np.float32(SINK_MM + 0.12)) * np.float32(4.5)) ** 2))
    drilled = face * (1 - in_sink) + cone * in_sink
    drilled += rim * facing * np.float32(0.07)
    drilled = drilled * (1 - in_hole) + wall * in_hole
    scene.light[place] = drilled


def _hole_place(at: Placement, number: int) -> BoolArray:
    mask = np.zeros((at.height, at.width), dtype=bool)
    around = _around_hole(at, number)
    if around is not None:
        mask[around[0]] = around[1] < SINK_MM
    return mask


def _punch_mark(scene: RingLight, at: Placement, number: int) -> None:
    """The centre mark that waits for a drill which never came."""
    around = _around_hole(at, number)
    if around is None:
        return
    place, distance, facing = around
    dimple = np.exp(-((distance / np.float32(0.55)) ** 2))
    scene.light[place] *= 1 - dimple * (np.float32(0.35) + np.float32(0.3) * facing)


@lru_cache(maxsize=4)
def _engraving(px_per_mm: float) -> tuple[Float32Array, float]:
    """Depth of the engraved text and the factor by which it is finer than the image."""
    import cv2

    fine = 4.0
    letter_px = 3.1 * px_per_mm * fine
    scale = letter_px / 21.0  # a Hershey capital is 21 units high
    thickness = max(1, round(0.42 * px_per_mm * fine))
    font = cv2.FONT_HERSHEY_SIMPLEX
    (text_width, text_height), base = cv2.getTextSize(ENGRAVED, font, scale, thickness)
    pad = 4 * thickness
    patch = np.zeros((text_height + base + 2 * pad, text_width + 2 * pad), dtype=np.uint8)
    cv2.putText(patch, ENGRAVED, (pad, pad + text_height), font, scale, 255, thickness, cv2.LINE_AA)
    soft = blurred(patch.astype(np.float32), 0.11 * px_per_mm * fine)
    return np.asarray(soft / np.float32(255), dtype=np.float32), fine


def _engrave(light: Float32Array, at: Placement) -> None:
    import cv2

    depth, fine = _engraving(round(at.px_per_mm, 2))
    angle = np.pi / HOLES  # half way between two holes
    centre = at.to_px(BOLT_CIRCLE_MM, angle)
    place = _window(at, centre, 0.6 * depth.shape[1] / fine / at.px_per_mm)
    if place is None:
        return
    turn = at.angle + angle + np.pi / 2
    cos, sin = float(np.cos(turn)), float(np.sin(turn))
    rows, columns = place[0].stop - place[0].start, place[1].stop - place[1].start
    # Image pixel -> text pixel: turn back around the centre, then scale.
    matrix = fine * np.array([[cos, sin, 0.0], [-sin, cos, 0.0]])
    offset = np.array([place[1].start - centre[0], place[0].start - centre[1]])
    matrix[:, 2] = matrix[:, :2] @ offset + np.array([depth.shape[1] / 2, depth.shape[0] / 2])
    here = cv2.warpAffine(
        depth,
        matrix,
        (columns, rows),
        flags=cv2.INTER_AREA | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
    )
    here = blurred(np.asarray(here, np.float32), 0.6)
    lamp = at.lamp_direction(*centre)
    along = cv2.Sobel(here, cv2.CV_32F, 1, 0, ksize=3) * lamp[0]
    along += cv2.Sobel(here, cv2.CV_32F, 0, 1, ksize=3) * lamp[1]
    light[place] *= 1 - np.float32(0.20) * here - np.float32(0.055) * np.clip(along, -2, 2)


def _plate(
    at: Placement,
    radius: Float32Array,
    x_mm: Float32Array,
    y_mm: Float32Array,
    rng: np.random.Generator,
) -> Float32Array:
    """The fixture as it is, in the shadow of the ring."""
    fixture = fixture_light(at.width, at.height, at.px_per_mm, at.fixture_xy)
    # The ring is 9 mm thick: its shadow falls away from the lamp, softer the further out.
    reach = 5.0
    norm = float(np.hypot(*at.lamp_xy)) or 1.0
    shift_x = np.float32(-reach * at.lamp_xy[0] / norm)
    shift_y = np.float32(-reach * at.lamp_xy[1] / norm)
    moved = np.hypot(x_mm - shift_x, y_mm - shift_y)
    outer = np.clip((np.float32(OUTER_MM + 2.6) - moved) * np.float32(1 / 5.2), 0, 1)
    inner = np.clip((moved - np.float32(BORE_MM - 2.4)) * np.float32(1 / 4.8), 0, 1)
    shadow = outer * outer * (3 - 2 * outer) * (inner * inner * (3 - 2 * inner))
    # Close to the metal less of the sky is seen.
    gap = np.where(radius < 40, np.float32(BORE_MM) - radius, radius - np.float32(OUTER_MM))
    close = np.exp(-np.maximum(gap, 0) * np.float32(0.32))
    light = fixture * (1 - np.float32(0.70) * shadow) * (1 - np.float32(0.42) * close)
    return np.asarray(light * np.float32(1 + rng.normal(0, 0.012)), dtype=np.float32)
