"""What one threshold makes of scored images: counts, and rates by type and size of the defect."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Self

import numpy as np

from detection.metrics import Confusion, auroc, confusion_at
from detection.statistics import Interval, clopper_pearson

AREA_GROUPS: Final = 5  # fifths of the defects by area; tenths would hold too few of most sets


@dataclass(frozen=True, slots=True)
class Rate:
    """A share with the counts behind it and its two-sided 95 % interval; None where n is 0."""

    events: int
    n: int

    @property
    def value(self) -> float | None:
        return self.events / self.n if self.n else None

    @property
    def interval(self) -> Interval:
        return clopper_pearson(self.events, self.n)

    def to_json(self) -> dict[str, Any]:
        low, high = self.interval
        return {"events": self.events, "n": self.n, "value": self.value, "low": low, "high": high}


@dataclass(frozen=True, slots=True)
class ScoredImage:
    """One line of an evaluation.

    Attributes:
        id: Of the image.
        score: Feature units.
        is_defect: What is known of it.
        defect_type: ``""`` for normals.
        area_share: Marked share of the image's pixels, in (0, 1]; None without a mask.
    """

    id: str
    score: float
    is_defect: bool
    defect_type: str
    area_share: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The line as JSON types."""
        return {
            "id": self.id,
            "score": self.score,
            "is_defect": self.is_defect,
            "defect_type": self.defect_type,
            "area_share": self.area_share,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The line that ``to_json`` wrote.

        Raises:
            KeyError, TypeError, ValueError: It is none.
        """
        area = data["area_share"]
        return cls(
            id=str(data["id"]),
            score=float(data["score"]),
            is_defect=bool(data["is_defect"]),
            defect_type=str(data["defect_type"]),
            area_share=None if area is None else float(area),
        )


@dataclass(frozen=True, slots=True)
class AreaGroup:
    """Defects of like size.

    Attributes:
        area_from: Smallest marked share of an image among them.
        area_to: Largest.
        rate: Flagged of all.
        image_auroc: Of these defects against all normals; knows no threshold. None: no normals.
    """

    area_from: float
    area_to: float
    rate: Rate
    image_auroc: float | None

    def to_json(self) -> dict[str, Any]:
        """The group as JSON types."""
        rate = self.rate.to_json()
        return {
            "area_from": self.area_from,
            "area_to": self.area_to,
            "found": rate.pop("events"),
            **rate,
            "image_auroc": self.image_auroc,
        }


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Counts and rates at one threshold.

    Attributes:
        threshold: Images at or above it count as flagged.
        confusion: The four counts.
        detection_by_type: Flagged defects of all, for each defect type.
        detection_by_area: The same for each fifth of the defects with a mask, smallest first.
        smallest_tenth: The same for the tenth (rounded up) with the smallest area.
    """

    threshold: float
    confusion: Confusion
    detection_by_type: Mapping[str, Rate]
    detection_by_area: tuple[AreaGroup, ...]
    smallest_tenth: AreaGroup | None

    @classmethod
    def of(cls, lines: Sequence[ScoredImage], threshold: float) -> Self:
        """What ``threshold`` makes of ``lines``."""
        types: dict[str, list[bool]] = {}
        for line in lines:
            if line.is_defect:
                types.setdefault(line.defect_type, []).append(line.score >= threshold)
        by_area = sorted(
            (line for line in lines if line.is_defect and line.area_share is not None),
            key=lambda line: (line.area_share, line.id),
        )
        normals = [line.score for line in lines if not line.is_defect]
        cuts = [round(k * len(by_area) / AREA_GROUPS) for k in range(AREA_GROUPS + 1)]
        fifths = [by_area[low:high] for low, high in pairwise(cuts)]
        tenth = by_area[: -(-len(by_area) // 10)]
        return cls(
            threshold=threshold,
            confusion=confusion_at(
                [line.score for line in lines], [line.is_defect for line in lines], threshold
            ),
            detection_by_type={
                name: Rate(sum(flags), len(flags)) for name, flags in sorted(types.items())
            },
            detection_by_area=tuple(
                _area_group(group, normals, threshold) for group in fifths if group
            ),
            smallest_tenth=_area_group(tenth, normals, threshold) if tenth else None,
        )

    @property
    def detection_rate(self) -> Rate:
        """Flagged defects of all defects."""
        return Rate(self.confusion.found, self.confusion.found + self.confusion.missed)

    @property
    def false_alarm_rate(self) -> Rate:
        """Flagged normals of all normals."""
        alarms, passed = self.confusion.false_alarms, self.confusion.passed
        return Rate(alarms, alarms + passed)

    def to_json(self) -> dict[str, Any]:
        """The point as JSON types; an infinite threshold becomes None."""
        smallest = self.smallest_tenth
        return {
            "threshold": finite(self.threshold),
            "detection_rate": self.detection_rate.value,
            "false_alarm_rate": self.false_alarm_rate.value,
            "confusion": self.confusion._asdict(),
            "rates": {
                "detection_rate": self.detection_rate.to_json(),
                "false_alarm_rate": self.false_alarm_rate.to_json(),
            },
            "detection_by_type": {
                name: rate.to_json() for name, rate in self.detection_by_type.items()
            },
            "detection_by_area": [group.to_json() for group in self.detection_by_area],
            "smallest_tenth": None if smallest is None else smallest.to_json(),
        }


def finite(value: float) -> float | None:
    """The value, or None where it is infinite: JSON knows no infinity."""
    return value if np.isfinite(value) else None


def _area_group(
    defects: Sequence[ScoredImage], normals: Sequence[float], threshold: float
) -> AreaGroup:
    areas = [line.area_share for line in defects if line.area_share is not None]
    scores = [line.score for line in defects]
    return AreaGroup(
        area_from=min(areas),
        area_to=max(areas),
        rate=Rate(sum(score >= threshold for score in scores), len(scores)),
        image_auroc=auroc([*scores, *normals], [True] * len(scores) + [False] * len(normals)),
    )
