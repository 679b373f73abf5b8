"""What a pair of thresholds must keep whatever it costs, and the error where it cannot."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from detection.protocol import DetectionError

FALSE_ALARMS: Final = "false alarms"
REVIEW_TIME: Final = "review time"
DETECTION: Final = "detection"


class LimitsConflictError(DetectionError):
    """No pair of thresholds keeps all limits.

    Attributes:
        names: The fewest limits that cannot be kept together.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        alone = len(names) == 1
        super().__init__(
            f"No thresholds keep the limit{'' if alone else 's'} on {' and '.join(names)}"
            f"{'' if alone else ' together'}: ease {'it' if alone else 'one of them'}."
        )
        self.names = names


@dataclass(frozen=True, slots=True)
class ReviewTime:
    """The time that people have to look at flagged parts within a window such as a shift.

    Attributes:
        parts: Parts seen in the window.
        minutes: There are for looking, audits included.
        minutes_per_part: One look takes.
        audit_minutes: Already given to blind audits.
    """

    parts: float
    minutes: float
    minutes_per_part: float
    audit_minutes: float = 0.0

    def __post_init__(self) -> None:
        numbers = (self.parts, self.minutes, self.minutes_per_part, self.audit_minutes)
        if not all(math.isfinite(number) and number >= 0 for number in numbers) or not self.parts:
            raise DetectionError("Review time needs some parts, and minutes from 0 up.")

    def share(self, *, more_minutes: float = 0.0) -> float:
        """The share of all parts that can be looked at; negative where audits take too long."""
        left = self.minutes + more_minutes - self.audit_minutes
        if self.minutes_per_part == 0:
            return 1.0 if left >= 0 else -1.0
        return left / (self.parts * self.minutes_per_part)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a pair must keep, whatever it costs; None where it does not matter.

    Attributes:
        max_false_alarm_rate: Share of good parts that may be flagged, as expected.
        min_detection: Share of defective parts that must be flagged, as expected.
        review_time: That all looks together may take.
    """

    max_false_alarm_rate: float | None = None
    min_detection: float | None = None
    review_time: ReviewTime | None = None

    def __post_init__(self) -> None:
        for share in (self.max_false_alarm_rate, self.min_detection):
            if share is not None and not 0 <= share <= 1:
                raise DetectionError(f"A limit is {share}, not a share between 0 and 1.")
