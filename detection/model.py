"""The fitted whole that is promoted and rolled back: detector, calibration, pixel threshold.

Thresholds of policy do not live here. For files on disk see `detection.artifact`, whose
``save_model``, ``load_model`` and ``read_manifest`` are offered from here as well.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, Self, cast, runtime_checkable

import numpy as np

from detection.artifact import load_model, save_model
from detection.calibration import (
    KIND_LEFT_OUT,
    KIND_LOTS,
    Calibration,
    choose_folds,
    choose_held_out,
)
from detection.manifest import ArtifactError, Manifest, read_manifest
from detection.naming import named_in_order
from detection.protocol import (
    BoolArray,
    DetectionError,
    Detector,
    Explanation,
    Float32Array,
    ImageSource,
    Int64Array,
    Progress,
    Scored,
    UInt8Array,
)
from detection.regions import Region, find_regions
from detection.sources import Listed, Subset

__all__ = [
    "ArtifactError",
    "Calibration",
    "ImageResult",
    "Manifest",
    "Model",
    "fit_model",
    "load_model",
    "read_manifest",
    "save_model",
]

# method name -> module and class; a new method is one line here.
METHODS: Mapping[str, tuple[str, str]] = {"patchcore": ("detection.patchcore", "PatchCore")}

HELD_OUT, LEFT_OUT = "held-out", "left-out"
CALIBRATIONS = (HELD_OUT, LEFT_OUT)

# Measured on bottle and glass fibre: about one held-out normal in six shows a region then. At
# 0.998 every second one does, and regions fit the masks worse; at the maximum faint defects go.
NORMAL_PIXEL_QUANTILE = 0.9995
_PIXELS_KEPT_PER_IMAGE = 20_000


@runtime_checkable
class FittableMethod(Detector, Protocol):
    """A detector class as this module uses it."""

    @classmethod
    def from_config(cls, config: Mapping[str, Any], *, cache: Path | None = None) -> Self:
        """An unfitted detector from JSON settings."""
        ...


@dataclass(frozen=True, slots=True)
class ImageResult:
    """All that is kept of one scored image.

    Attributes:
        score: Feature units.
        surprise: In (0, 1]; see ``Calibration.surprise``.
        map: ``(height, width)`` float32 at image size, feature units.
        regions: Places above the pixel threshold, hottest first.
        embedding: ``(channels,)`` float32, backbone space.
        region_embedding: The same over the hottest region; None without regions.
        explanation: Where it is oddest and what normal patch comes nearest, where known.
    """

    score: float
    surprise: float
    map: Float32Array
    regions: tuple[Region, ...]
    embedding: Float32Array
    region_embedding: Float32Array | None
    explanation: Explanation | None


@dataclass(frozen=True, slots=True)
class Model:
    """A fitted detector with what is needed to read its scores.

    Attributes:
        detector: Scores images.
        method: The name it is registered under.
        calibration: Scores of normal images it did not learn from.
        pixel_threshold: Heat, regions and masks use it, feature units.
        heat_range: Ends of the fixed colour scale: pixel threshold and top, feature units.
        metrics: Figures measured after the fit.
        seed: What the fit drew from.
        packages: Versions of the packages that fitted it.
    """

    detector: Detector
    method: str
    calibration: Calibration
    pixel_threshold: float
    heat_range: tuple[float, float]
    metrics: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    packages: Mapping[str, str] = field(default_factory=dict)

    def score(self, image: UInt8Array) -> ImageResult:
        """The result of one ``(height, width, 3)`` uint8 RGB image.

        Raises:
            DetectionError: The image has another shape or type, or is too small.
        """
        return next(self.score_many(Listed([image])))

    def score_many(self, images: ImageSource) -> Iterator[ImageResult]:
        """One result per image, in order, as they come."""
        for scored in self.detector.score(images):
            regions = find_regions(scored.map, self.pixel_threshold)
            yield ImageResult(
                score=scored.score,
                surprise=self.calibration.surprise(scored.score),
                map=scored.map,
                regions=regions,
                embedding=scored.embedding,
                region_embedding=_region_embedding(scored, regions, self.pixel_threshold),
                explanation=scored.explanation,
            )

    def with_metrics(self, metrics: Mapping[str, Any]) -> Model:
        """The same model with these figures."""
        return replace(self, metrics=dict(metrics))

    def with_best_pixel_threshold(
        self, images: ImageSource, masks: Sequence[BoolArray | None]
    ) -> Model:
        """The same model with the pixel threshold that fits labelled masks best.

        Args:
            images: Labelled images, not those the model is reported on.
            masks: ``(height, width)`` per image; None where nothing is marked.

        Raises:
            DetectionError: No mask marks a pixel.
        """
        threshold = best_iou_threshold(
            (scored.map for scored in self.detector.score(images)), masks
        )
        top = threshold + (self.heat_range[1] - self.heat_range[0])
        return replace(self, pixel_threshold=threshold, heat_range=(threshold, top))


def fit_model(
    images: ImageSource,
    *,
    ids: Sequence[str],
    groups: Sequence[str] | None = None,
    method: str = "patchcore",
    config: Mapping[str, Any] | None = None,
    seed: int = 0,
    may_calibrate: Sequence[bool] | None = None,
    region_of_interest: Sequence[tuple[float, float]] | None = None,
    calibrate: str = HELD_OUT,
    threads: int = 1,
    cache: Path | None = None,
    on_progress: Progress | None = None,
) -> Model:
    """Fit a detector on normal images and calibrate it on others that were held out.

    Whole groups (lots, days) are held out where there are at least two; else a random share of
    the images; with few images none, and each is scored by a fit without it.

    Args:
        images: Normal images; walked a few times, never held together.
        ids: One id per image.
        groups: The lot or day of each image.
        method: A name in ``METHODS``.
        config: Settings of the method, the default for None.
        seed: Same seed, same images, same machine: same bytes.
        may_calibrate: False for images that were chosen for their score (confirmed flags): they
            are learned and never calibrate. None: all may.
        region_of_interest: Polygon of (x, y) shares of width and height; the rest of the image
            is neither learned nor scored.
        calibrate: ``held-out`` as above, or ``left-out``: every image is learned, and scored by a
            fit without it (five fits more, by lots where there are some). More to learn from, and
            no promise about false alarms.
        threads: CPU threads used.
        cache: Folder that keeps converted and compiled networks; None for none.
        on_progress: Called with (done, total, note); may raise to stop.

    Raises:
        DetectionError: Too few images, all the same, too small, or wrong settings.
    """
    count = len(images)
    beside = [ids, *(given for given in (groups, may_calibrate) if given is not None)]
    if any(len(given) != count for given in beside):
        raise DetectionError(f"{count} images need as many ids, groups and calibration marks.")
    settings = {"threads": threads, **(config or {})}
    if region_of_interest is not None:
        settings["region_of_interest"] = [[float(x), float(y)] for x, y in region_of_interest]
    rng = np.random.default_rng(seed)
    allowed = np.ones(count, np.bool_) if may_calibrate is None else np.array(may_calibrate, bool)
    if calibrate not in CALIBRATIONS:
        raise DetectionError(f"calibrate must be {' or '.join(CALIBRATIONS)}.")
    held_out, kind = np.empty(0, np.int64), KIND_LEFT_OUT
    if calibrate == HELD_OUT:
        held_out, kind = choose_held_out(count, groups, rng=rng, may_calibrate=allowed)
    learned = np.setdiff1d(np.arange(count), held_out)
    if kind == KIND_LOTS and groups is not None:
        # The whole lot stays out: its other images would make the held-out ones look too normal.
        lots = {groups[int(index)] for index in held_out}
        learned = np.array([at for at in range(count) if groups[at] not in lots], np.int64)
    parts: list[tuple[Int64Array, Int64Array]] = []
    if kind == KIND_LEFT_OUT:
        folds, kind = choose_folds(count, groups, rng=rng, may_calibrate=allowed)
        parts = [(np.setdiff1d(learned, fold), fold[allowed[fold]]) for fold in folds]

    def fitted(numbers: Int64Array, own: np.random.Generator, progress: Progress | None) -> Any:
        return (
            detector_class(method)
            .from_config(settings, cache=cache)
            .fit(
                Subset.of(images, numbers),
                ids=[ids[number] for number in numbers],
                groups=None if groups is None else [groups[number] for number in numbers],
                rng=own,
                on_progress=progress,
            )
        )

    # The folds draw for themselves, so that the detector is the same however it is calibrated.
    fold_rngs = rng.spawn(len(parts))
    detector = fitted(learned, rng, on_progress)
    calibrating = _Calibrating(images, ids, on_progress, sum(len(fold) for _, fold in parts))
    if parts:
        for (others, fold), own in zip(parts, fold_rngs, strict=True):
            calibrating.add(fitted(others, own, None), fold)
    else:
        calibrating.total = len(held_out)
        calibrating.add(detector, held_out)
    threshold, top = normal_pixel_range(np.concatenate(calibrating.pixels))
    return Model(
        detector=detector,
        method=method,
        calibration=Calibration.of(
            calibrating.scores,
            kind,
            groups=None if groups is None else [groups[at] for at in calibrating.numbers],
            ids=[ids[at] for at in calibrating.numbers],
        ),
        pixel_threshold=threshold,
        heat_range=(threshold, top),
        seed=seed,
        packages=package_versions(),
    )


class _Calibrating:
    """Scores and pixels of normal images, from detectors that did not learn them."""

    def __init__(
        self, images: ImageSource, ids: Sequence[str], on_progress: Progress | None, total: int
    ) -> None:
        self.images = images
        self.ids = ids
        self.on_progress = on_progress
        self.total = total
        self.numbers: list[int] = []
        self.scores: list[float] = []
        self.pixels: list[Float32Array] = []

    def add(self, detector: Detector, numbers: Int64Array) -> None:
        """Score these images."""
        results = detector.score(Subset.of(self.images, numbers))
        named = named_in_order(results, [self.ids[at] for at in numbers])
        for number, scored in zip(numbers, named, strict=True):
            self.numbers.append(int(number))
            self.scores.append(scored.score)
            flat = scored.map.ravel()
            self.pixels.append(flat[:: max(1, flat.size // _PIXELS_KEPT_PER_IMAGE)].copy())
            if self.on_progress is not None:
                self.on_progress(len(self.numbers), self.total, "calibrating")


def detector_class(method: str) -> type[FittableMethod]:
    """The class of a method; its engines are imported now.

    Raises:
        DetectionError: There is no such method.
    """
    if method not in METHODS:
        raise DetectionError(f"There is no method {method!r}; there is {', '.join(METHODS)}.")
    module, name = METHODS[method]
    return cast(type[FittableMethod], getattr(importlib.import_module(module), name))


def normal_pixel_range(pixels: Float32Array) -> tuple[float, float]:
    """Pixel threshold and top of the colour scale from pixels of normal images alone.

    The threshold is a high quantile of normal pixels; the scale ends as far above it as it lies
    above the median normal pixel.

    Source: ours.
    """
    median, threshold = np.quantile(pixels.astype(np.float64), (0.5, NORMAL_PIXEL_QUANTILE))
    width = max(float(threshold - median), 1e-6 * max(1.0, abs(float(threshold))))
    return float(threshold), float(threshold) + width


def best_iou_threshold(maps: Iterator[Float32Array], masks: Sequence[BoolArray | None]) -> float:
    """The threshold whose union of marked pixels overlaps the masks best, over all images.

    Args:
        maps: ``(height, width)`` per image, feature units.
        masks: ``(height, width)`` of the same images; None where nothing is marked.

    Raises:
        DetectionError: No mask marks a pixel.
    """
    values: list[Float32Array] = []
    marks: list[BoolArray] = []
    for heat, mask in zip(maps, masks, strict=True):
        step = max(1, heat.size // (4 * _PIXELS_KEPT_PER_IMAGE))
        values.append(heat.ravel()[::step].copy())
        marks.append(
            np.zeros(len(values[-1]), np.bool_) if mask is None else mask.ravel()[::step].copy()
        )
    flat, marked = np.concatenate(values), np.concatenate(marks)
    if not marked.any():
        raise DetectionError("No mask marks a pixel: there is nothing to fit the threshold to.")
    order = np.argsort(flat)[::-1]
    hits = np.cumsum(marked[order])
    unions = np.arange(1, len(order) + 1) + marked.sum() - hits
    best = int(np.argmax(hits / unions))
    below = flat[order[min(best + 1, len(order) - 1)]]
    return float((float(flat[order[best]]) + float(below)) / 2)


def package_versions() -> dict[str, str]:
    """Versions of the packages that can move a score."""
    from importlib import metadata

    names = ("numpy", "torch", "timm", "openvino", "opencv-python-headless", "numba", "scipy")
    found: dict[str, str] = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _region_embedding(
    scored: Scored, regions: tuple[Region, ...], threshold: float
) -> Float32Array | None:
    if not regions or scored.grid_embeddings.size == 0:
        return None
    rows, cols = scored.grid_embeddings.shape[:2]
    height, width = scored.map.shape
    left, top, right, bottom = regions[0].box_xyxy
    y = ((np.arange(rows) + 0.5) * height / rows).astype(np.int64)
    x = ((np.arange(cols) + 0.5) * width / cols).astype(np.int64)
    inside = ((y >= top) & (y < bottom))[:, None] & ((x >= left) & (x < right))[None, :]
    inside &= scored.map[np.ix_(y, x)] > threshold
    if not inside.any():
        peak_x, peak_y = regions[0].peak_xy
        inside[min(rows - 1, peak_y * rows // height), min(cols - 1, peak_x * cols // width)] = True
    mean = scored.grid_embeddings[inside].mean(axis=0, dtype=np.float64)
    return np.asarray(mean, dtype=np.float32)
