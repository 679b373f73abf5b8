"""Which normal images are held out of a fit to calibrate it, and what their scores then say.

Numbers only: the fit itself is in ``detection.model``, the formulas in ``detection.statistics``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detection.protocol import BoolArray, DetectionError, Float64Array, Int64Array
from detection.statistics.surprise import surprise

HELD_OUT_SHARE = 0.2
# Below this many images a held-out share would leave too few on either side.
MIN_IMAGES_TO_HOLD_OUT = 20

KIND_LOTS = "held-out lots"
KIND_IMAGES = "held-out images"
KIND_LEFT_OUT = "leave-one-image-out"


@dataclass(frozen=True, slots=True)
class Calibration:
    """Scores of normal images that the detector did not learn from.

    Attributes:
        scores: ``(n,)`` float64, rising, feature units.
        kind: ``held-out lots``, ``held-out images`` or ``leave-one-image-out``; only the first
            speaks for goods of another day.
        groups: Lots the scores come from; 0 where the images had none.
    """

    scores: Float64Array
    kind: str
    groups: int

    def surprise(self, score: float) -> float:
        """The share of normal images that would look at least as odd, in (0, 1]."""
        return float(surprise(score, self.scores))


def choose_held_out(
    count: int,
    groups: Sequence[str] | None,
    *,
    rng: np.random.Generator,
    may_calibrate: BoolArray | None = None,
) -> tuple[Int64Array, str, int]:
    """Which images calibrate: their numbers, the kind of calibration, and their number of groups.

    Whole groups in random order until a fifth of the images is reached, at least one group and
    never more than half of the images unless a single group forces it. Of a group only the
    images that may calibrate are named; the caller keeps the others from being learned.

    Raises:
        DetectionError: No image may calibrate.
    """
    nothing = np.empty(0, np.int64)
    marked = range(count) if may_calibrate is None else np.flatnonzero(may_calibrate)
    allowed = [int(index) for index in marked]
    if count and not allowed:
        raise DetectionError("None of the normals may calibrate: add some that were not flagged.")
    wanted = max(1, round(HELD_OUT_SHARE * count))
    if groups is not None and len(set(groups)) >= 2:
        names = sorted({groups[index] for index in allowed})
        sizes = {name: sum(group == name for group in groups) for name in names}
        useful = {name: sum(groups[index] == name for index in allowed) for name in names}
        chosen: list[str] = []
        taken = found = 0
        for name in map(str, rng.permutation(names)):
            fits = taken + sizes[name] <= max(wanted, count // 2)
            if found < wanted and fits:
                chosen.append(name)
                taken += sizes[name]
                found += useful[name]
        if not chosen:
            smallest = min(names, key=lambda name: (sizes[name], name))
            chosen, taken = [smallest], sizes[smallest]
        if count - taken >= 2:
            numbers = [index for index in allowed if groups[index] in chosen]
            return np.array(numbers, np.int64), KIND_LOTS, len(chosen)
    if count < MIN_IMAGES_TO_HOLD_OUT:
        return nothing, KIND_LEFT_OUT, 0
    wanted = min(wanted, max(1, len(allowed) // 2))
    return np.sort(rng.choice(allowed, wanted, replace=False)).astype(np.int64), KIND_IMAGES, 0
