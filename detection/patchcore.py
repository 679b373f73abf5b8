"""PatchCore: a bank of normal patch features, and the distance of new patches to it.

Frozen network, whitened layers, exact coreset, exact search. The parts stand in `backbones`,
`features`, `whitening`, `coreset`, `search` and `scorers`; this module puts them together.

Source: Roth et al., "Towards Total Recall in Industrial Anomaly Detection" (arXiv:2106.08265);
the whitening, the two scorers and their sum are ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from detection.backbones import BackboneSpec, CompiledGraph, build_engine
from detection.candidates import check_count, collect_candidates
from detection.features import (
    DEFAULT_SIDE,
    FeatureGrid,
    FeatureReader,
    Polygon,
    cells_inside,
    check_polygon,
)
from detection.protocol import (
    Capabilities,
    DetectionError,
    DetectorState,
    Explanation,
    Float32Array,
    ImageSource,
    Progress,
    Scored,
)
from detection.saved_banks import check_state, check_width
from detection.scorers import Scorer, ScorerConfig
from detection.threads import limited_threads

OBJECT_SCORER = ScorerConfig(layers=(0, 1), pooling=1, per_centre=True)
TEXTURE_SCORER = ScorerConfig(layers=(1, 2), pooling=3, per_centre=True)
PRESETS: Mapping[str, tuple[ScorerConfig, ...]] = {
    # Fine layers, no pooling: best for objects that lie at any angle. Half the cost of both.
    "fast": (OBJECT_SCORER,),
    # The sum of both: the best single choice over objects and textures.
    "best": (OBJECT_SCORER, TEXTURE_SCORER),
}


_WHOLE_NUMBERS = ("side", "bank_size", "candidates", "projection", "threads")


@dataclass(frozen=True, slots=True)
class PatchCoreConfig:
    """Everything that decides what a fit learns, apart from the images and the seed.

    Attributes:
        preset: A name in ``PRESETS``.
        backbone: The frozen network.
        engine: ``auto`` (openvino where installed), ``openvino`` or ``torch``.
        side: Square root of the largest area looked at, pixels.
        bank_size: Vectors kept per scorer.
        candidates: Most patches of all normal images that the bank is chosen from.
        projection: Width of the random projection on which the bank is chosen.
        top_share: Share of the cells whose mean is the image's score, in (0, 1].
        region_of_interest: Polygon outside which nothing is learned or scored.
        threads: CPU threads used; says nothing about what is learned.
    """

    preset: str = "best"
    backbone: BackboneSpec = field(default_factory=BackboneSpec)
    engine: str = "auto"
    side: int = DEFAULT_SIDE
    bank_size: int = 4_000
    candidates: int = 100_000
    projection: int = 32
    top_share: float = 0.03
    region_of_interest: Polygon | None = None
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
        if min(self.side, self.bank_size, self.candidates, self.projection, self.threads) < 1:
            raise DetectionError("side, bank_size, candidates, projection and threads must be > 0.")
        if not 0.0 < self.top_share <= 1.0:
            raise DetectionError("top_share must be in (0, 1].")
        if self.region_of_interest is not None:
            check_polygon(self.region_of_interest)

    def to_json(self) -> dict[str, Any]:
        """The configuration as JSON types."""
        polygon = self.region_of_interest
        return {
            **asdict(self),
            "backbone": self.backbone.to_json(),
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
        try:
            return cls(**values)
        except TypeError as error:
            raise DetectionError(f"A setting of patchcore has the wrong type: {error}") from error


class PatchCore:
    """Detector over a bank of normal patches."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        localises=True, provenance=True, incremental=False, unlearns=False
    )

    def __init__(self, config: PatchCoreConfig | None = None, *, cache: Path | None = None) -> None:
        """
        Args:
            config: What to learn; the default for None.
            cache: Folder that keeps converted and compiled networks; None for none.
        """
        self.config = config or PatchCoreConfig()
        self.cache = cache

    @classmethod
    def from_config(cls, config: Mapping[str, Any], *, cache: Path | None = None) -> Self:
        """An unfitted detector from JSON settings; what is left out stands at its default."""
        return cls(PatchCoreConfig.from_json(config), cache=cache)

    def fit(
        self,
        images: ImageSource,
        *,
        ids: Sequence[str],
        groups: Sequence[str] | None = None,
        rng: np.random.Generator,
        on_progress: Progress | None = None,
    ) -> Self:
        """Learn the bank; the images are walked once and never held together.

        Args:
            images: Normal images.
            ids: One id per image, for provenance.
            groups: Not used by this method; calibration uses them.
            rng: Draws candidate patches, projections and first picks.
            on_progress: Called after each image and during the choice of each bank.

        Raises:
            DetectionError: Fewer than two images, all the same, without any variation, or too
                small.
        """
        if len(ids) != len(images):
            raise DetectionError(f"{len(images)} images came with {len(ids)} ids.")
        check_count(len(images))
        config = self.config
        with limited_threads(config.threads):
            self._build_reader()
            configs = PRESETS[config.preset]
            candidates = collect_candidates(
                images,
                ids=ids,
                read=self.reader_.read,
                configs=configs,
                limit=config.candidates,
                polygon=config.region_of_interest,
                rng=rng,
                on_progress=on_progress,
                threads=config.threads,
            )
            self.scorers_ = [
                Scorer.fit(
                    part,
                    candidates.places,
                    config=scorer,
                    layer_widths=widths,
                    bank_size=config.bank_size,
                    projection=config.projection,
                    rng=rng,
                    on_progress=on_progress,
                )
                for scorer, part, widths in zip(
                    configs, candidates.features, candidates.layer_widths, strict=True
                )
            ]
        self.ids_ = list(ids)
        self.sizes_hw_ = candidates.sizes_hw
        self.grids_hw_ = candidates.grids_hw
        return self

    def _build_reader(self, graph: CompiledGraph | None = None) -> None:
        """Make the engine, and from the network's own default the layers that were left open."""
        config = self.config
        engine, spec, self.graph_ = build_engine(
            config.backbone,
            name=config.engine,
            graph=graph,
            threads=config.threads,
            cache=self.cache,
        )
        self.config = replace(config, backbone=spec)
        self.reader_ = FeatureReader(engine, side=config.side)

    def score(self, images: ImageSource) -> Iterator[Scored]:
        """One result per image, in order.

        Raises:
            DetectionError: An image is not ``(height, width, 3)`` uint8 or is too small.
        """
        for grid in self.reader_.read_many(images, threads=self.config.threads):
            with limited_threads(self.config.threads):
                result = self._score_grid(grid)
            yield result

    def score_left_out(self, images: ImageSource) -> Iterator[Scored]:
        """The result of each image that was fitted, as if its own patches were not in the bank.

        Args:
            images: The same images, in the same order, as in ``fit``.
        """
        grids = self.reader_.read_many(images, threads=self.config.threads)
        for index, grid in enumerate(grids):
            with limited_threads(self.config.threads):
                result = self._score_grid(grid, leave_out=index)
            yield result

    def _score_grid(self, grid: FeatureGrid, *, leave_out: int | None = None) -> Scored:
        inside = cells_inside(self.config.region_of_interest, grid.shape)
        results = [scorer.score(grid, leave_out=leave_out) for scorer in self.scorers_]
        cells = np.where(inside, sum(result.cells for result in results), np.float32(0.0))
        cells = cells.astype(np.float32)
        raw = grid.joined()
        peak = np.unravel_index(np.where(inside, cells, -np.inf).argmax(), cells.shape)
        row, col = int(peak[0]), int(peak[1])
        height, width = grid.size_hw
        rows, cols = grid.shape
        first = results[0]
        return Scored(
            score=image_score(cells[inside], keep=self.config.top_share),
            map=to_image_size(cells, grid.size_hw),
            embedding=raw[inside].mean(axis=0, dtype=np.float64).astype(np.float32),
            explanation=self._explain(
                place_xy=((col + 0.5) * width / cols, (row + 0.5) * height / rows),
                distance=float(first.distances[row, col]),
                bank_row=int(first.nearest[row, col]),
            ),
            grid=cells,
            grid_embeddings=raw.astype(np.float16),
        )

    def _explain(
        self, *, place_xy: tuple[float, float], distance: float, bank_row: int
    ) -> Explanation:
        image, row, col = (int(value) for value in self.scorers_[0].places[bank_row])
        height, width = (int(value) for value in self.sizes_hw_[image])
        rows, cols = (int(value) for value in self.grids_hw_[image])
        return Explanation(
            place_xy=place_xy,
            distance=distance,
            normal_id=self.ids_[image],
            normal_place_xy=((col + 0.5) * width / cols, (row + 0.5) * height / rows),
        )

    def to_artifact(self) -> DetectorState:
        """The fitted state as plain data; the network's graph is part of it where there is one."""
        config = {
            **self.config.to_json(),
            "engine": self.reader_.engine.name,
            "ids": self.ids_,
            "scorers": [scorer.config.to_json() for scorer in self.scorers_],
        }
        tensors: dict[str, dict[str, Any]] = {
            "images": {"sizes_hw": self.sizes_hw_, "grids_hw": self.grids_hw_}
        }
        for number, scorer in enumerate(self.scorers_):
            tensors[f"scorer{number}"] = scorer.tensors()
        if self.graph_ is not None:
            tensors["backbone"] = {
                "xml": np.frombuffer(self.graph_.xml, np.uint8),
                "weights": np.frombuffer(self.graph_.weights, np.uint8),
            }
        return DetectorState("patchcore", config, tensors)

    @classmethod
    def from_artifact(cls, state: DetectorState, *, cache: Path | None = None) -> Self:
        """The detector that ``to_artifact`` described; it scores the same to the bit.

        Raises:
            ArtifactError: The state's arrays do not fit each other or the network.
        """
        check_state(state)
        data = dict(state.config)
        ids, scorers = data.pop("ids"), data.pop("scorers")
        detector = cls(PatchCoreConfig.from_json(data), cache=cache)
        graph = None
        if (stored := state.tensors.get("backbone")) is not None:
            graph = CompiledGraph(stored["xml"].tobytes(), stored["weights"].tobytes())
        detector._build_reader(graph)
        detector.ids_ = list(ids)
        detector.sizes_hw_ = state.tensors["images"]["sizes_hw"]
        detector.grids_hw_ = state.tensors["images"]["grids_hw"]
        detector.scorers_ = [
            Scorer.from_tensors(ScorerConfig.from_json(config), state.tensors[f"scorer{number}"])
            for number, config in enumerate(scorers)
        ]
        side = 2 * detector.reader_.engine.multiple
        grid = detector.reader_.read(np.zeros((side, side, 3), np.uint8))
        for number, scorer in enumerate(detector.scorers_):
            given = sum(layer.shape[2] for layer in scorer.config.chosen(grid))
            check_width(number, learned=len(scorer.whitening.mean), given=given)
        return detector


def image_score(cells: Float32Array, *, keep: float = 0.03) -> float:
    """The mean of the largest ``keep`` share of the cells (at least one).

    A single maximum flips on one noisy cell; the mean of a few is steadier.

    Args:
        cells: One value per cell, any shape, feature units.
        keep: Share averaged, in (0, 1].

    Raises:
        ValueError: No cells, or ``keep`` out of range.

    Source: ours. PatchCore (arXiv:2106.08265, 3.3) takes a reweighted maximum instead.
    """
    flat = cells.ravel()
    if flat.size == 0 or not 0.0 < keep <= 1.0:
        raise ValueError("image_score needs cells and keep in (0, 1]")
    count = max(1, round(keep * flat.size))
    return float(np.partition(flat, flat.size - count)[-count:].mean(dtype=np.float64))


def to_image_size(cells: Float32Array, size_hw: tuple[int, int]) -> Float32Array:
    """The ``(rows, cols)`` map at ``size_hw`` by linear interpolation between cell centres."""
    import cv2

    enlarged = cv2.resize(cells, (size_hw[1], size_hw[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(enlarged, dtype=np.float32)
