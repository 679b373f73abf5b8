"""Two evaluations of the same images side by side: which model is better, and how surely."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from detection.evaluation.operating import ScoredImage
from detection.metrics import (
    DRAWS,
    Difference,
    PairedCounts,
    paired_counts,
    paired_differences,
)
from detection.protocol import DetectionError


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between two models on the same images; always the first minus the second.

    Attributes:
        normals: Normal images.
        defects: Defective images.
        differences: ``image_auroc`` and ``image_ap``; empty where a kind is missing.
        detection: Flags among the defects, each model at its own threshold.
        false_alarms: Flags among the normals.
        draws: Of the bootstrap.
        seed: Of the bootstrap.
    """

    normals: int
    defects: int
    differences: Mapping[str, Difference]
    detection: PairedCounts
    false_alarms: PairedCounts
    draws: int
    seed: int

    def to_json(self) -> dict[str, Any]:
        """The comparison as JSON types."""
        return {
            "n_normal": self.normals,
            "n_defect": self.defects,
            **{name: self._difference(name) for name in ("image_auroc", "image_ap")},
            "detection_rate": _counts_json(self.detection),
            "false_alarm_rate": _counts_json(self.false_alarms),
            "bootstrap": {"draws": self.draws, "seed": self.seed},
        }

    def _difference(self, name: str) -> dict[str, Any] | None:
        found = self.differences.get(name)
        if found is None:
            return None
        return {
            "a": found.a,
            "b": found.b,
            "difference": found.difference,
            "interval": None if found.interval is None else list(found.interval),
            "share_a_better": found.share_a_better,
        }


@dataclass(frozen=True, slots=True)
class _Scores:
    """What is needed of one evaluation."""

    lines: Mapping[str, ScoredImage]
    threshold: float

    @classmethod
    def from_json(cls, evaluation: Mapping[str, Any], name: str) -> Self:
        try:
            lines = [ScoredImage.from_json(line) for line in evaluation["scores"]]
            stored = evaluation["threshold"]
            threshold = np.inf if stored is None else float(stored)
        except (KeyError, TypeError, ValueError) as error:
            raise DetectionError(
                f"{name} is no evaluation with scores: write it with evaluate --json."
            ) from error
        if len({line.id for line in lines}) < len(lines):
            raise DetectionError(f"{name} holds an image twice; ids must differ.")
        return cls({line.id: line for line in lines}, threshold)


def compare(
    evaluation_a: Mapping[str, Any],
    evaluation_b: Mapping[str, Any],
    *,
    names: tuple[str, str] = ("The first", "The second"),
    draws: int = DRAWS,
    seed: int = 0,
) -> Comparison:
    """Compare two evaluations of the same images, in any order, image by image.

    Args:
        evaluation_a: The first, as ``Evaluation.to_json`` gives it.
        evaluation_b: The second.
        names: What messages call them.
        draws: Of the paired bootstrap over images.
        seed: Of the same.

    Raises:
        DetectionError: One is no evaluation, or they are of different images or labels.

    Source: ours; see `detection.metrics.paired`.
    """
    a = _Scores.from_json(evaluation_a, names[0])
    b = _Scores.from_json(evaluation_b, names[1])
    if not a.lines or a.lines.keys() != b.lines.keys():
        alone = sorted(a.lines.keys() ^ b.lines.keys())
        example = f" ({alone[0]} is in one alone)" if alone else ""
        raise DetectionError(f"The two evaluations are of different images{example}.")
    pairs = [(line, b.lines[name]) for name, line in a.lines.items()]
    if any(one.is_defect != other.is_defect for one, other in pairs):
        raise DetectionError("The two evaluations disagree on which images are defective.")
    is_defect = np.array([one.is_defect for one, _ in pairs])
    scores_a = np.array([one.score for one, _ in pairs])
    scores_b = np.array([other.score for _, other in pairs])
    flagged_a, flagged_b = scores_a >= a.threshold, scores_b >= b.threshold
    return Comparison(
        normals=int((~is_defect).sum()),
        defects=int(is_defect.sum()),
        differences=paired_differences(
            scores_a, scores_b, is_defect, rng=np.random.default_rng(seed), draws=draws
        ),
        detection=paired_counts(flagged_a[is_defect], flagged_b[is_defect]),
        false_alarms=paired_counts(flagged_a[~is_defect], flagged_b[~is_defect]),
        draws=draws,
        seed=seed,
    )


def _counts_json(counts: PairedCounts) -> dict[str, Any]:
    n = counts.both + counts.only_a + counts.only_b + counts.neither
    differ = counts.only_a + counts.only_b
    return {
        "n": n,
        "a": (counts.both + counts.only_a) / n if n else None,
        "b": (counts.both + counts.only_b) / n if n else None,
        "both": counts.both,
        "only_a": counts.only_a,
        "only_b": counts.only_b,
        "neither": counts.neither,
        "p_value": counts.p_value,
        "share_only_a": counts.share_only_a,
        "interval": list(counts.interval) if differ else None,
    }
