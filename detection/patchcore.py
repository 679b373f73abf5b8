"""PatchCore: banks of normal patch features, and the distance of new patches to them.

Frozen network, whitened layers, exact coresets, exact search. The parts stand in `recipe`,
`backbones`, `features`, `candidates`, `scorers` and `image_scores`; here they are put together.

Source: Roth et al., "Towards Total Recall in Industrial Anomaly Detection" (arXiv:2106.08265);
the whitening, the three views, and the standardised score over them are ours.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from detection.backbones import CompiledGraph, build_engine
from detection.candidates import Candidates, WholeImage, check_count, collect_candidates
from detection.features import FeatureReader, Features, cells_inside, coarser
from detection.image_scores import (
    ImageStandard,
    fit_image_standard,
    reweighted_score,
    top_mean,
)
from detection.protocol import (
    BoolArray,
    Capabilities,
    DetectionError,
    DetectorState,
    Explanation,
    Float16Array,
    Float32Array,
    Float64Array,
    ImageSource,
    Progress,
    Scored,
    UInt8Array,
)
from detection.recipe import PatchCoreConfig
from detection.saved_banks import check_state, check_width
from detection.scorers import Scorer, ScorerConfig, ScorerResult
from detection.threads import one_thread_each, ordered_map


class PatchCore:
    """Detector over banks of normal patches."""

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
        ids: Sequence[str] | None = None,
        groups: Sequence[str] | None = None,
        rng: np.random.Generator | None = None,
        on_progress: Progress | None = None,
    ) -> Self:
        """Learn the banks; the images are walked once and never held together.

        Args:
            images: Normal images.
            ids: One id per image, for provenance; their numbers for None.
            groups: Not used by this method; calibration uses them.
            rng: Draws candidate patches, projections and first picks; seed 0 for None.
            on_progress: Called after each image and during the choice of the banks.

        Raises:
            DetectionError: Fewer than two images, all the same, without any variation, or too
                small.
        """
        ids = [str(number) for number in range(len(images))] if ids is None else ids
        rng = np.random.default_rng(0) if rng is None else rng
        if len(ids) != len(images):
            raise DetectionError(f"{len(images)} images came with {len(ids)} ids.")
        check_count(len(images))
        config = self.config
        self._build_reader(config.scorers)
        with one_thread_each():
            candidates = collect_candidates(
                images,
                ids=ids,
                read=self._read,
                limit=config.candidates,
                rng=rng,
                on_progress=on_progress,
                threads=config.threads,
            )
            self.scorers_ = self._fit_scorers(candidates, rng=rng, on_progress=on_progress)
            self.grids_hw_ = [sample.grids_hw for sample in candidates.samples]
            whole = ordered_map(self._means_left_out, candidates.whole, threads=config.threads)
            self.standard_ = fit_image_standard(np.array(list(whole)))
        self.ids_ = list(ids)
        self.sizes_hw_ = candidates.sizes_hw
        return self

    def _build_reader(
        self, scorers: Sequence[ScorerConfig], graph: CompiledGraph | None = None
    ) -> None:
        """Make the engine, and from the network's own default the layers that were left open."""
        config = self.config
        engine, spec, self.graph_ = build_engine(
            replace(config.backbone, views=tuple(scorer.view for scorer in scorers)),
            name=config.engine,
            graph=graph,
            precision=config.precision,
            device=config.device,
            threads=config.threads,
            cache=self.cache,
        )
        self.config = replace(config, backbone=spec)
        self.reader_ = FeatureReader(engine, side=config.side, tiles=config.tiles)

    def _read(self, image: UInt8Array) -> tuple[Features, tuple[BoolArray, ...]]:
        """The features of an image and, per view, which cells count."""
        features = self.reader_.read(image)
        inside = cells_inside(self.config.region_of_interest, features.finest)
        if self.config.foreground:
            from detection.foreground import foreground_cells

            on_part = inside & foreground_cells(image, features.finest)
            # A part outside the region of interest is for a person to see, not an error.
            inside = on_part if on_part.any() else inside
        return features, tuple(coarser(inside, shape) for shape in features.shapes)

    def _fit_scorers(
        self, candidates: Candidates, *, rng: np.random.Generator, on_progress: Progress | None
    ) -> list[Scorer]:
        config = self.config
        configs = config.scorers
        progress = None if on_progress is None else _Together(on_progress, len(configs))

        def fit(number: int, own: np.random.Generator) -> Scorer:
            return Scorer.fit(
                candidates.samples[number].vectors,
                candidates.samples[number].places,
                config=configs[number],
                layer_widths=self.reader_.engine.widths[number],
                bank_size=config.bank_size,
                projection=config.projection,
                rng=own,
                on_progress=None if progress is None else progress.of(number),
            )

        # A generator each, so that the banks do not depend on which thread comes first.
        with ThreadPoolExecutor(config.threads, thread_name_prefix="banks") as pool:
            return list(pool.map(fit, range(len(configs)), rng.spawn(len(configs))))

    def _means_left_out(self, image: WholeImage) -> Float64Array:
        """The top means of a fitted image, scored as if it had not been fitted."""
        results = self._results(image.views, leave_out=image.number)
        return self._top_means(results, image.inside)

    def _top_means(
        self, results: Sequence[ScorerResult], inside: Sequence[BoolArray]
    ) -> Float64Array:
        keep = self.config.top_share
        return np.array(
            [
                top_mean(result.cells[counts], keep=keep)
                for result, counts in zip(results, inside, strict=True)
            ]
        )

    def score(self, images: ImageSource) -> Iterator[Scored]:
        """One result per image, in order.

        Raises:
            DetectionError: An image is not ``(height, width, 3)`` uint8 or is too small.
        """
        return ordered_map(self._score_image, images, threads=self.config.threads)

    def _score_image(self, image: UInt8Array) -> Scored:
        with one_thread_each():
            features, inside = self._read(image)
            results = self._results(features.views)
            finest = inside[features.shapes.index(features.finest)]
            cells = _joined_cells(results, inside, finest)
            score, view = self._image_score(features, results, inside, cells[finest])
            return Scored(
                score=score,
                map=to_image_size(cells, features.size_hw),
                embedding=np.concatenate(
                    [
                        features.views[number][inside[number]].mean(axis=0, dtype=np.float64)
                        for number in self._distinct_views()
                    ]
                ).astype(np.float32),
                explanation=self._explain(view, features, results[view], inside[view]),
                grid_embeddings=self._embeddings(features),
            )

    def _results(
        self, views: Sequence[Float32Array | Float16Array], *, leave_out: int | None = None
    ) -> list[ScorerResult]:
        return [
            scorer.score(view, leave_out=leave_out)
            for scorer, view in zip(self.scorers_, views, strict=True)
        ]

    def _image_score(
        self,
        features: Features,
        results: Sequence[ScorerResult],
        inside: Sequence[BoolArray],
        joined: Float32Array,
    ) -> tuple[float, int]:
        """The image's score and the number of the view that explains it."""
        kind = self.config.image_score
        if kind == "standardised":
            return self.standard_.score(self._top_means(results, inside))
        if kind == "top_share":
            return top_mean(joined, keep=self.config.top_share), 0
        if kind == "max":
            return float(joined.max()), 0
        first = results[0]
        row, col = _hottest(first.distances, inside[0])
        scorer = self.scorers_[0]
        return reweighted_score(
            first.distances[inside[0]],
            scorer.whitening.apply(features.views[0][row, col]),
            int(first.nearest[row, col]),
            scorer.search.bank,
        ), 0

    def _distinct_views(self) -> list[int]:
        """Views that together read every layer, the plainest first."""
        read: set[int] = set()
        numbers: list[int] = []
        for number, scorer in sorted(
            enumerate(self.scorers_), key=lambda pair: pair[1].config.view.pooling
        ):
            layers = set(scorer.config.view.layers)
            if not layers <= read:
                read |= layers
                numbers.append(number)
        return numbers

    def _embeddings(self, features: Features) -> Float16Array:
        """``(rows, cols, channels)`` of the distinct views, on the grid of the first."""
        numbers = self._distinct_views()
        rows, cols = features.shapes[numbers[0]]
        parts = []
        for number in numbers:
            view = features.views[number]
            at_row = np.arange(rows) * view.shape[0] // rows
            at_col = np.arange(cols) * view.shape[1] // cols
            parts.append(view[at_row][:, at_col].astype(np.float16))
        return np.concatenate(parts, axis=2)

    def _explain(
        self, view: int, features: Features, result: ScorerResult, inside: BoolArray
    ) -> Explanation:
        row, col = _hottest(result.cells, inside)
        places = self.scorers_[view].places[int(result.nearest[row, col])]
        image, normal_row, normal_col = (int(value) for value in places)
        return Explanation(
            place_xy=_centre_xy(row, col, features.shapes[view], features.size_hw),
            distance=float(result.distances[row, col]),
            normal_id=self.ids_[image],
            normal_place_xy=_centre_xy(
                normal_row, normal_col, self.grids_hw_[view][image], self.sizes_hw_[image]
            ),
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
            "images": {
                "sizes_hw": self.sizes_hw_,
                "usual_centre": self.standard_.centre,
                "usual_scale": self.standard_.scale,
            }
        }
        for number, scorer in enumerate(self.scorers_):
            tensors[f"scorer{number}"] = {**scorer.tensors(), "grids_hw": self.grids_hw_[number]}
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
        ids = data.pop("ids")
        configs = [ScorerConfig.from_json(config) for config in data.pop("scorers")]
        detector = cls(PatchCoreConfig.from_json(data), cache=cache)
        graph = None
        if (stored := state.tensors.get("backbone")) is not None:
            graph = CompiledGraph(stored["xml"].tobytes(), stored["weights"].tobytes())
        detector._build_reader(configs, graph)
        images = state.tensors["images"]
        parts = [state.tensors[f"scorer{number}"] for number in range(len(configs))]
        detector.ids_ = list(ids)
        detector.sizes_hw_ = images["sizes_hw"]
        detector.standard_ = ImageStandard(images["usual_centre"], images["usual_scale"])
        detector.grids_hw_ = [part["grids_hw"] for part in parts]
        detector.scorers_ = [
            Scorer.from_tensors(config, part) for config, part in zip(configs, parts, strict=True)
        ]
        for number, scorer in enumerate(detector.scorers_):
            given = sum(detector.reader_.engine.widths[number])
            check_width(number, learned=len(scorer.whitening.mean), given=given)
        return detector


class _Together:
    """One progress for several pieces of work that run side by side."""

    def __init__(self, on_progress: Progress, count: int) -> None:
        self._on_progress = on_progress
        self._lock = threading.Lock()
        self._done = [0] * count
        self._total = [0] * count

    def of(self, number: int) -> Callable[[int, int, str], None]:
        """The progress of one piece; the sums are passed on."""

        def report(done: int, total: int, note: str) -> None:
            with self._lock:
                self._done[number], self._total[number] = done, total
                # Pieces that have not begun count as large as the largest.
                whole = sum(known or max(self._total) for known in self._total)
                self._on_progress(sum(self._done), whole, note)

        return report


def _joined_cells(
    results: Sequence[ScorerResult], inside: Sequence[BoolArray], finest: BoolArray
) -> Float32Array:
    """The mean over the views on the finest grid; 0, as usual as can be, where no cell counts."""
    rows, cols = finest.shape
    total = np.zeros((rows, cols), np.float32)
    for result, counts in zip(results, inside, strict=True):
        total += to_image_size(np.where(counts, result.cells, np.float32(0.0)), (rows, cols))
    return np.asarray(np.where(finest, total / len(results), 0.0), dtype=np.float32)


def _hottest(cells: Float32Array, inside: BoolArray) -> tuple[int, int]:
    place = np.unravel_index(np.where(inside, cells, -np.inf).argmax(), cells.shape)
    return int(place[0]), int(place[1])


def _centre_xy(
    row: int, col: int, grid_hw: Sequence[int], size_hw: Sequence[int]
) -> tuple[float, float]:
    """The centre of a cell, pixels of its image."""
    return (
        (col + 0.5) * float(size_hw[1]) / float(grid_hw[1]),
        (row + 0.5) * float(size_hw[0]) / float(grid_hw[0]),
    )


def to_image_size(cells: Float32Array, size_hw: tuple[int, int]) -> Float32Array:
    """The ``(rows, cols)`` map at ``size_hw`` by linear interpolation between cell centres."""
    if cells.shape == size_hw:
        return cells
    import cv2

    enlarged = cv2.resize(cells, (size_hw[1], size_hw[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(enlarged, dtype=np.float32)
