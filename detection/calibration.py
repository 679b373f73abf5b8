"""Which normal images are held out of a fit to calibrate it, and what their scores then say.

Numbers only: the fit itself is in ``detection.model``, the formulas in ``detection.statistics``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from detection.protocol import BoolArray, DetectionError, Float64Array, Int64Array
from detection.statistics.surprise import (
    FIRST_LEVEL,
    FirstThreshold,
    first_threshold,
    lot_design_effect,
    surprise,
    surprise_of_new_lot,
)

HELD_OUT_SHARE = 0.2
# Below this many images a held-out share would leave too few on either side.
MIN_IMAGES_TO_HOLD_OUT = 20

KIND_LOTS = "held-out lots"
KIND_IMAGES = "held-out images"
KIND_LEFT_OUT = "left-out images"
KIND_LEFT_OUT_LOTS = "left-out lots"
# Each fold costs one more fit without it; more folds would leave the fits closer to the final one.
FOLDS = 5
MIN_IMAGES_TO_LEAVE_OUT = 3  # a fit needs two


@dataclass(frozen=True, slots=True)
class Calibration:
    """Scores of normal images that the detector did not learn from, and where each is from.

    Attributes:
        scores: ``(n,)`` float64, rising, feature units.
        kind: ``held-out`` or ``left-out``, ``lots`` or ``images``; only the held-out lots
            speaks for goods of another day.
        lots: ``(n,)`` int64, of each score the number of its lot or day in ``lot_names``;
            ``(0,)`` where the images had none.
        lot_names: The lots that the scores come from, in alphabetical order.
        ids: Of each score, the id of its image; empty where not known.
    """

    scores: Float64Array
    kind: str
    lots: Int64Array = field(default_factory=lambda: np.empty(0, np.int64))
    lot_names: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n = self.scores.size
        if self.scores.ndim != 1 or not n or not np.isfinite(self.scores).all():
            raise DetectionError("A calibration needs scores of normals, all of them finite.")
        if (np.diff(self.scores) < 0).any():
            raise DetectionError("The calibration scores do not rise.")
        if self.lots.shape not in {(n,), (0,)} or len(self.ids) not in {n, 0}:
            raise DetectionError("Scores, lots and ids of the calibration differ in number.")
        if not np.array_equal(np.unique(self.lots), np.arange(len(self.lot_names))):
            raise DetectionError("The lots of the calibration and their names do not fit.")

    @classmethod
    def of(
        cls,
        scores: npt.ArrayLike,
        kind: str,
        *,
        groups: Sequence[str] | None = None,
        ids: Sequence[str] = (),
    ) -> Self:
        """The calibration of these scores, in any order, with the lot and the id of each.

        Raises:
            DetectionError: No scores, some not finite, or differing numbers of things.
        """
        values = np.asarray(scores, np.float64).ravel()
        if any(len(given) != values.size for given in (groups or (), ids) if given):
            raise DetectionError("Scores, lots and ids of the calibration differ in number.")
        order = np.argsort(values, kind="stable")
        names = tuple(sorted(set(groups or ())))
        numbers = {name: number for number, name in enumerate(names)}
        return cls(
            values[order],
            kind,
            np.array([numbers[groups[at]] for at in order] if groups else [], np.int64),
            names,
            tuple(ids[at] for at in order) if ids else (),
        )

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The calibration that ``to_json`` wrote down.

        Raises:
            DetectionError: It is none.
        """
        try:
            return cls(
                np.array(data["scores"], np.float64),
                str(data["kind"]),
                np.array(data["lots"], np.int64),
                tuple(data["lot_names"]),
                tuple(data["ids"]),
            )
        except DetectionError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise DetectionError(f"This is no calibration: {error}.") from error

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON types, for a database that keeps it beside the saved model."""
        return {
            "scores": self.scores.tolist(),
            "kind": self.kind,
            "lots": self.lots.tolist(),
            "lot_names": list(self.lot_names),
            "ids": list(self.ids),
        }

    @property
    def groups(self) -> int:
        """How many lots the scores come from; 0 where the images had none."""
        return len(self.lot_names)

    @property
    def design_effect(self) -> float:
        """By what factor alikeness within lots makes the number of scores smaller, >= 1."""
        if not self.lot_names:
            return 1.0
        return lot_design_effect(self.scores.tolist(), self.lots.tolist())

    def surprise(self, score: float) -> float:
        """The share of normal images that would look at least as odd, in (0, 1]."""
        return float(surprise(score, self.scores))

    def surprise_of_new_lot(self, score: float) -> float:
        """The same for a part of a lot not seen before: exact, and coarse with few lots.

        Raises:
            DetectionError: The images had no lots.
        """
        if not self.lot_names:
            raise DetectionError("The calibration knows no lots: give groups to the fit.")
        return float(surprise_of_new_lot(score, self.scores, self.lots.tolist()))

    def first_threshold(self, *, level: float = FIRST_LEVEL) -> FirstThreshold:
        """The threshold that these normals carry, with what may be promised of it."""
        return first_threshold(
            self.scores,
            kind=self.kind,
            lots=self.groups,
            design_effect=self.design_effect,
            level=level,
        )


def choose_folds(
    count: int,
    groups: Sequence[str] | None,
    *,
    rng: np.random.Generator,
    may_calibrate: BoolArray | None = None,
) -> tuple[list[Int64Array], str]:
    """Parts of the images that are left out of one fit each, and the kind of calibration.

    Every image is in one part; whole lots stay together where there are at least two and the
    others of each are enough to learn from.

    Raises:
        DetectionError: No image may calibrate, or there are too few to learn from the others.
    """
    _check_some_may_calibrate(count, may_calibrate)
    if count < MIN_IMAGES_TO_LEAVE_OUT:
        there = "there is 1." if count == 1 else f"there are {count}."
        raise DetectionError(
            f"A model needs at least {MIN_IMAGES_TO_LEAVE_OUT} normal images, two to learn from "
            f"and one to check against; {there}"
        )
    if groups is not None and len(set(groups)) >= 2:
        parts = _folds_of(groups, rng=rng)
        if count - max(map(len, parts)) >= 2:
            return parts, KIND_LEFT_OUT_LOTS
    return _folds_of([str(at) for at in range(count)], rng=rng), KIND_LEFT_OUT


def _folds_of(units: Sequence[str], *, rng: np.random.Generator) -> list[Int64Array]:
    """The numbers of the images in each fold; those of one unit stay together."""
    names = [str(name) for name in rng.permutation(sorted(set(units)))]
    fold_of = {name: at % min(FOLDS, len(names)) for at, name in enumerate(names)}
    folds = np.array([fold_of[unit] for unit in units])
    return [np.flatnonzero(folds == fold) for fold in range(int(folds.max()) + 1)]


def _check_some_may_calibrate(count: int, may_calibrate: BoolArray | None) -> None:
    if count and may_calibrate is not None and not may_calibrate.any():
        raise DetectionError("None of the normals may calibrate: add some that were not flagged.")


def choose_held_out(
    count: int,
    groups: Sequence[str] | None,
    *,
    rng: np.random.Generator,
    may_calibrate: BoolArray | None = None,
) -> tuple[Int64Array, str]:
    """Which images calibrate: their numbers, rising, and the kind of calibration.

    Whole groups in random order until a fifth of the images is reached, at least one group and
    never more than half of the images unless a single group forces it. Of a group only the
    images that may calibrate are named; the caller keeps the others from being learned.

    Raises:
        DetectionError: No image may calibrate.
    """
    nothing = np.empty(0, np.int64)
    _check_some_may_calibrate(count, may_calibrate)
    marked = range(count) if may_calibrate is None else np.flatnonzero(may_calibrate)
    allowed = [int(index) for index in marked]
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
            return np.array(numbers, np.int64), KIND_LOTS
    if count < MIN_IMAGES_TO_HOLD_OUT:
        return nothing, KIND_LEFT_OUT
    wanted = min(wanted, max(1, len(allowed) // 2))
    return np.sort(rng.choice(allowed, wanted, replace=False)).astype(np.int64), KIND_IMAGES
