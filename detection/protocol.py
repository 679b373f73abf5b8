"""The shapes every method of `detection` shares: sources, scores, detectors and their saved state.

Imports numpy only, so that pages and services can name these types without loading an engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]
UInt8Array = NDArray[np.uint8]
Int64Array = NDArray[np.int64]
Float16Array = NDArray[np.float16]
Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]

Progress = Callable[[int, int, str], None]
"""Called with (done, total, note). It may raise: the work stops and leaves nothing behind."""


class DetectionError(ValueError):
    """A mistake that whoever handed in the data can mend; the message says it in plain words."""


class ImageSource(Protocol):
    """Images that can be walked more than once without all being in memory.

    Each item is ``(height, width, 3)`` uint8, RGB, upright. Sizes may differ between items.
    """

    def __iter__(self) -> Iterator[UInt8Array]: ...

    def __len__(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a method can do; pages ask for these and never for class names.

    Attributes:
        localises: ``Scored.map`` says where, not only whether.
        provenance: ``Scored.explanation`` names the nearest normal patch and its image.
        incremental: Normals can be added without a whole new fit.
        unlearns: One image's contribution can be taken out again.
    """

    localises: bool
    provenance: bool
    incremental: bool
    unlearns: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an image scored as it did: its oddest cell and the normal patch that comes nearest.

    Attributes:
        place_xy: Centre of the oddest cell, pixels of the scored image.
        distance: Distance of that cell to the nearest normal patch, feature units, >= 0.
        normal_id: Id of the normal image which the nearest patch came from.
        normal_place_xy: Centre of that patch, pixels of that normal image.
    """

    place_xy: tuple[float, float]
    distance: float
    normal_id: str
    normal_place_xy: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Scored:
    """What a detector says about one image.

    Attributes:
        score: How odd the whole image is, feature units. Not a probability: see calibration.
        map: ``(height, width)`` float32 at image size, feature units; how odd each pixel is.
        embedding: ``(channels,)`` float32, the image in the backbone's own space: it depends on
            the backbone alone and stays comparable across retrains.
        explanation: Where the oddest cell is and what it was compared with, where the method can.
        grid_embeddings: ``(rows, cols, channels)`` float16 of each cell in the backbone's own
            space, from which the embedding of a region is averaged; empty where not offered.
    """

    score: float
    map: Float32Array
    embedding: Float32Array
    explanation: Explanation | None
    grid_embeddings: Float16Array = field(default_factory=lambda: np.empty((0, 0, 0), np.float16))


@dataclass(frozen=True, slots=True)
class DetectorState:
    """A fitted detector as plain data, ready to be written and hashed.

    Attributes:
        method: The name it is registered under, such as ``patchcore``.
        config: Everything that is not an array; JSON types only.
        tensors: Part name -> tensor name -> array. Each part becomes one file.
    """

    method: str
    config: Mapping[str, Any]
    tensors: Mapping[str, Mapping[str, NDArray[Any]]]


@runtime_checkable
class Detector(Protocol):
    """A method that learns normal images and says how odd another one is."""

    capabilities: ClassVar[Capabilities]

    def fit(
        self,
        images: ImageSource,
        *,
        ids: Sequence[str],
        groups: Sequence[str] | None = None,
        rng: np.random.Generator,
        on_progress: Progress | None = None,
    ) -> Self:
        """Learn the normal images; ``ids`` and ``groups`` run beside ``images``."""
        ...

    def score(self, images: ImageSource) -> Iterator[Scored]:
        """One result per image, in order, as they come."""
        ...

    def to_artifact(self) -> DetectorState:
        """Everything ``from_artifact`` needs to score again, bit for bit."""
        ...

    @classmethod
    def from_artifact(cls, state: DetectorState, *, cache: Path | None = None) -> Self:
        """The detector that ``to_artifact`` described; ``cache`` keeps what only saves time."""
        ...
