"""The sample products and their parts: one seed, one part, the same pixels every time."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from detection.protocol import BoolArray, UInt8Array
from detection.samples import cloth, ring, ring_defects
from detection.samples.camera import expose

DEFAULT_LOT: Final = "0477"
_CLOTH_TINT: Final = (1.0, 0.975, 0.915)  # unbleached cotton under a neutral lamp
_BORE_HOLE_ANGLE: Final = -0.44  # where the bore station stops a bolt hole, radians
_BORE_FOLLOWS_DEFECT: Final = 0.8  # share of defective parts whose close-up shows the place


@dataclass(frozen=True, slots=True)
class SampleView:
    """One camera on a sample product; ``any_angle`` where the part lies as it comes, or repeats."""

    name: str
    width: int
    height: int
    px_per_mm: float
    centre_xy: tuple[float, float]
    lamp_xy_mm: tuple[float, float]
    gain: float
    any_angle: bool


@dataclass(frozen=True, slots=True)
class SampleProduct:
    """A product that can be made.

    Attributes:
        key: Short name for folders and addresses.
        name: For people.
        views: By name; the first is the main one.
        defects: Every defect it can have, and the family it belongs to.
    """

    key: str
    name: str
    views: Mapping[str, SampleView]
    defects: Mapping[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class SamplePart:
    """One part as its cameras saw it.

    Attributes:
        images: View -> ``(height, width, 3)`` uint8 RGB.
        masks: View -> ``(height, width)`` bool, all False where the view shows no defect.
        defect: What is wrong, or None.
        family: structural, surface, contamination or combined; None for a good part.
        lot: It came from.
    """

    images: Mapping[str, UInt8Array]
    masks: Mapping[str, BoolArray]
    defect: str | None
    family: str | None
    lot: str


FLANGE_RING: Final = SampleProduct(
    key="flange-ring",
    name="Flange ring 62-204",
    views={
        "face": SampleView(
            "face", 640, 640, 4.41, (320.0, 320.0), (-62.0, -70.0), 1.02, any_angle=True
        ),
        "bore": SampleView(
            "bore", 640, 512, 9.4, (58.0, 322.0), (66.0, -58.0), 0.8, any_angle=False
        ),
    },
    defects=ring_defects.FAMILIES,
)
FILTER_CLOTH: Final = SampleProduct(
    key="filter-cloth",
    name="Filter cloth PW 18",
    views={
        "top": SampleView(
            "top", 640, 512, cloth.PX_PER_MM, (320.0, 256.0), (-30.0, -20.0), 1.0, any_angle=True
        )
    },
    defects=cloth.FAMILIES,
)
PRODUCTS: Final[dict[str, SampleProduct]] = {
    product.key: product for product in (FLANGE_RING, FILTER_CLOTH)
}


def make_part(
    product: SampleProduct,
    *,
    seed: int,
    defect: str | None = None,
    lot: str = DEFAULT_LOT,
    views: Sequence[str] | None = None,
) -> SamplePart:
    """Return one part, good or with a defect.

    Args:
        product: One of ``PRODUCTS``.
        seed: Decides everything that differs from part to part. With and without a defect
            the same seed gives the same part in the same light.
        defect: A key of ``product.defects``, or None for a good part.
        lot: Parts of a lot share machining or weave, and tone.
        views: Only these; None for all. Leaving one out does not change the others.

    Returns:
        Images and masks of the views.

    Raises:
        ValueError: The product has no such defect or view.
    """
    if defect is not None and defect not in product.defects:
        known = ", ".join(product.defects)
        raise ValueError(f"{product.name} has no defect {defect!r}; it has {known}")
    names = tuple(product.views) if views is None else tuple(views)
    unknown = set(names) - set(product.views)
    if unknown:
        raise ValueError(f"{product.name} has no view {sorted(unknown)[0]!r}")
    images: dict[str, UInt8Array] = {}
    masks: dict[str, BoolArray] = {}
    draw = _draw_ring if product is FLANGE_RING else _draw_cloth
    for name in names:
        images[name], masks[name] = draw(product.views[name], seed, defect, lot)
    family = None if defect is None else product.defects[defect]
    return SamplePart(images, masks, defect, family, lot)


def _rng(seed: int, *purpose: str) -> np.random.Generator:
    return np.random.default_rng([seed, *(zlib.crc32(word.encode()) for word in purpose)])


def _draw_ring(
    view: SampleView, seed: int, defect: str | None, lot: str
) -> tuple[UInt8Array, BoolArray]:
    part, shot = _rng(seed, "ring"), _rng(seed, "ring", view.name)
    where = float(part.uniform(0, 2 * np.pi))
    hole = ring_defects.hole_near(where)
    follows = bool(part.random() < _BORE_FOLLOWS_DEFECT)
    if view.any_angle:
        angle = float(shot.uniform(0, 2 * np.pi))
    else:
        shown = hole if follows and defect is not None else int(shot.integers(ring.HOLES))
        shown_angle = shown * 2 * np.pi / ring.HOLES
        angle = _BORE_HOLE_ANGLE - shown_angle + float(shot.normal(0, 0.03))
    scale = view.px_per_mm
    jitter = shot.normal(0, 0.55, 2) * scale
    at = ring.Placement(
        width=view.width,
        height=view.height,
        px_per_mm=scale,
        centre_xy=(view.centre_xy[0] + float(jitter[0]), view.centre_xy[1] + float(jitter[1])),
        fixture_xy=view.centre_xy,
        angle=angle,
        lamp_xy=(
            view.lamp_xy_mm[0] + float(shot.normal(0, 2.5)),
            view.lamp_xy_mm[1] + float(shot.normal(0, 2.5)),
        ),
        lamp_height=150 + float(shot.normal(0, 3)),
        lot=lot,
        missing_hole=hole if defect == "missing_hole" else None,
    )
    scene = ring.render_ring(at, shot)
    mask = np.zeros((view.height, view.width), dtype=bool)
    if defect is not None:
        own = _rng(seed, "ring", defect)
        mask = ring_defects.add_defect(scene, at, defect, where=where, rng=own)
    gain = view.gain * float(1 + shot.normal(0, 0.018))
    return expose(scene.light, shot, gain=gain), mask


def _draw_cloth(
    view: SampleView, seed: int, defect: str | None, lot: str
) -> tuple[UInt8Array, BoolArray]:
    shot = _rng(seed, "cloth", view.name)
    weave = cloth.flat_weave(view.height, view.width)
    mask = np.zeros((view.height, view.width), dtype=bool)
    if defect is not None:
        mask = cloth.add_defect(weave, defect, _rng(seed, "cloth", defect))
    light = cloth.render_cloth(weave, lot, shot)
    gain = view.gain * float(1 + shot.normal(0, 0.02))
    return expose(light, shot, gain=gain, blur_px=0.7, tint_rgb=_CLOTH_TINT), mask
