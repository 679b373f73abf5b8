"""What a PatchCore fit learns, as plain data: presets of scorers and every other setting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from detection.backbones import BackboneSpec, View
from detection.features import DEFAULT_SIDE, Polygon, Tiles, check_polygon, check_tiles
from detection.protocol import DetectionError
from detection.scorers import ScorerConfig

# Fine and middle layers cell by cell: what fits into a patch.
PATCH = ScorerConfig(View(layers=(0, 1), grid=1, pooling=1))
# The same on the finest grid: thin and small things. Four times the cells, and a quarter of the
# bank costs less than 0.01 AUROC.
DETAIL = ScorerConfig(View(layers=(0, 1), grid=0, pooling=3), bank_share=0.25)
# The coarse layer over a large surrounding: uneven surfaces, wrong order of large things. A
# sixteenth of the cells of DETAIL, so it costs next to nothing.
CONTEXT = ScorerConfig(View(layers=(2,), grid=2, pooling=3))
PRESETS: Mapping[str, tuple[ScorerConfig, ...]] = {
    "fast": (PATCH, CONTEXT),
    "best": (PATCH, DETAIL, CONTEXT),
}
IMAGE_SCORES = ("standardised", "top_share", "max", "reweighted")

_WHOLE_NUMBERS = ("side", "bank_size", "candidates", "projection", "threads")


@dataclass(frozen=True, slots=True)
class PatchCoreConfig:
    """Everything that decides what a fit learns, apart from the images and the seed.

    Attributes:
        preset: A name in ``PRESETS``.
        backbone: The frozen network.
        engine: ``auto`` (openvino where installed), ``openvino`` or ``torch``.
        precision: ``f32``, or ``bf16`` with openvino on chips that have it.
        device: ``cpu``, or ``cuda`` with torch.
        side: Square root of the largest area looked at at once, pixels.
        tiles: For defects that are small beside a large image: (rows, cols) or ``native``; see
            ``FeatureReader``.
        bank_size: Vectors kept per scorer whose bank share is 1.
        candidates: Most patches of all normal images that each bank is chosen from.
        projection: Width of the random projection on which banks are chosen.
        image_score: ``standardised``: the soft maximum over the scorers of the mean of the highest
            ``top_share`` of their cells, each in units of what normal images show; ``top_share``:
            the mean of the highest share of the map; ``max``: its maximum; ``reweighted``:
            PatchCore's own, of the first scorer.
        top_share: Share of the cells averaged, in (0, 1].
        region_of_interest: Polygon outside which nothing is learned or scored.
        foreground: Leave out the background, as far as it can be told from the part.
        threads: Images worked on at once; says nothing about what is learned.
    """

    preset: str = "best"
    backbone: BackboneSpec = field(default_factory=BackboneSpec)
    engine: str = "auto"
    precision: str = "f32"
    device: str = "cpu"
    side: int = DEFAULT_SIDE
    tiles: Tiles = None
    bank_size: int = 4_000
    candidates: int = 100_000
    projection: int = 32
    image_score: str = "standardised"
    top_share: float = 0.01
    region_of_interest: Polygon | None = None
    foreground: bool = False
    threads: int = 1

    def __post_init__(self) -> None:
        """Raises DetectionError where a value has a wrong type or is out of its range."""
        if not isinstance(self.backbone, BackboneSpec):
            raise DetectionError("backbone must be a name, or a name with layers and weights.")
        for name in _WHOLE_NUMBERS:
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool):
                raise DetectionError(f"{name} must be a whole number, not {value!r}.")
        if self.preset not in PRESETS:
            raise DetectionError(f"preset must be one of {', '.join(PRESETS)}.")
        if self.engine not in ("auto", "openvino", "torch"):
            raise DetectionError("engine must be auto, openvino or torch.")
        if self.image_score not in IMAGE_SCORES:
            raise DetectionError(f"image_score must be one of {', '.join(IMAGE_SCORES)}.")
        if not isinstance(self.foreground, bool):
            raise DetectionError("foreground must be true or false.")
        if min(self.side, self.bank_size, self.candidates, self.projection, self.threads) < 1:
            raise DetectionError("side, bank_size, candidates, projection and threads must be > 0.")
        if not 0.0 < self.top_share <= 1.0:
            raise DetectionError("top_share must be in (0, 1].")
        check_tiles(self.tiles)
        if self.region_of_interest is not None:
            check_polygon(self.region_of_interest)

    @property
    def scorers(self) -> tuple[ScorerConfig, ...]:
        """The preset's scorers."""
        return PRESETS[self.preset]

    def to_json(self) -> dict[str, Any]:
        """The configuration as JSON types."""
        polygon = self.region_of_interest
        return {
            **asdict(self),
            "backbone": self.backbone.to_json(),
            "tiles": list(self.tiles) if isinstance(self.tiles, tuple) else self.tiles,
            "region_of_interest": None if polygon is None else [list(xy) for xy in polygon],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The configuration described by some or all of the fields.

        Raises:
            DetectionError: A field is unknown or has no usable value.
        """
        known = set(cls.__dataclass_fields__)
        if unknown := sorted(set(data) - known):
            raise DetectionError(f"Unknown setting of patchcore: {', '.join(unknown)}.")
        values = dict(data)
        if isinstance(values.get("backbone"), str):
            values["backbone"] = BackboneSpec(values["backbone"])
        elif isinstance(values.get("backbone"), Mapping):
            values["backbone"] = BackboneSpec.from_json(values["backbone"])
        if values.get("region_of_interest") is not None:
            values["region_of_interest"] = check_polygon(values["region_of_interest"])
        if values.get("tiles") is not None:
            values["tiles"] = check_tiles(values["tiles"])
        try:
            return cls(**values)
        except TypeError as error:
            raise DetectionError(f"A setting of patchcore has the wrong type: {error}") from error
