"""Does a fitted model react to drawn defects? A check of the set-up, not of its worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np

from detection.calibration import Calibration
from detection.metrics import auroc
from detection.protocol import DetectionError, ImageSource, Progress, UInt8Array
from detection.statistics import Interval, clopper_pearson
from detection.synthetic.defects import KINDS, make_defect

SYNTHETIC_NOTE: Final = (
    "synthetic defects only: says that the model reacts, not how many real defects it finds"
)


class _Scored(Protocol):
    @property
    def score(self) -> float: ...


class ScoringModel(Protocol):
    """What is needed of a model; ``detection.model.Model`` has it."""

    @property
    def calibration(self) -> Calibration: ...
    def score(self, image: UInt8Array) -> _Scored: ...


@dataclass(frozen=True, slots=True)
class KindCheck:
    """How the model reacts to one kind of image.

    Attributes:
        kind: One of ``KINDS``, or ``normal``.
        n: Images scored.
        flagged: Of them, at or above the threshold.
        interval: Two-sided 95 % interval of the share flagged.
        auroc: Against the normals; None for the normals.
    """

    kind: str
    n: int
    flagged: int
    interval: Interval
    auroc: float | None


@dataclass(frozen=True, slots=True)
class SanityCheck:
    """The outcome. Synthetic: see ``SYNTHETIC_NOTE``.

    Attributes:
        threshold: The model's first threshold, feature units.
        normal: How it reacts to the normals themselves.
        kinds: How it reacts to each kind of drawn defect.
        normals_differ: True where more normals are flagged than chance explains: they are not
            like those of the calibration, and what is flagged then says little.
    """

    threshold: float
    normal: KindCheck
    kinds: tuple[KindCheck, ...]
    normals_differ: bool

    @property
    def reacts(self) -> bool:
        """True where every kind scores above the normals more often than a coin would."""
        return all(kind.auroc is not None and kind.auroc > 0.5 for kind in self.kinds)

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON types, marked synthetic."""
        return {
            "synthetic": True,
            "note": SYNTHETIC_NOTE,
            "threshold": self.threshold,
            "reacts": self.reacts,
            "normals_differ": self.normals_differ,
            "normal": _json(self.normal),
            "kinds": {kind.kind: _json(kind) for kind in self.kinds},
        }


def sanity_check(
    model: ScoringModel,
    normals: ImageSource,
    rng: np.random.Generator,
    *,
    on_progress: Progress | None = None,
) -> SanityCheck:
    """Return which share of drawn defects the model flags at its first threshold.

    Each normal is scored as it is and once with each kind of defect. A region of interest is
    not known here: a defect outside it stays unseen.

    Args:
        model: Fitted and calibrated.
        normals: Images that it did not learn from.
        rng: Draws the defects.
        on_progress: Called after each image with (done, total, note); may raise to stop.

    Raises:
        DetectionError: No images, or one too small.
    """
    total = len(normals)
    if not total:
        raise DetectionError("The check needs normal images to draw defects on.")
    first = model.calibration.first_threshold()
    threshold = first.review_from
    plain: list[float] = []
    drawn: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for done, image in enumerate(normals, start=1):
        plain.append(model.score(image).score)
        for kind, scores in drawn.items():
            scores.append(model.score(make_defect(image, kind, rng=rng).image).score)
        if on_progress is not None:
            on_progress(done, total, "checking")
    normal = _kind("normal", plain, threshold)
    return SanityCheck(
        threshold=threshold,
        normal=normal,
        kinds=tuple(_kind(kind, scores, threshold, plain) for kind, scores in drawn.items()),
        normals_differ=first.is_contradicted_by(normal.flagged, normal.n),
    )


def _kind(
    kind: str, scores: list[float], threshold: float, normals: list[float] | None = None
) -> KindCheck:
    flagged = sum(score >= threshold for score in scores)
    area = None
    if normals is not None:
        area = auroc([*normals, *scores], [False] * len(normals) + [True] * len(scores))
    return KindCheck(kind, len(scores), flagged, clopper_pearson(flagged, len(scores)), area)


def _json(kind: KindCheck) -> dict[str, Any]:
    return {
        "n": kind.n,
        "flagged": kind.flagged,
        "share": kind.flagged / kind.n,
        "interval": list(kind.interval),
        "auroc": kind.auroc,
    }
