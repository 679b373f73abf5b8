"""What thresholds chosen from few known defects cost: ``python -m tests.measure.thresholds``.

Simulated scores of known distributions, so that the best pair there is can be known. Regret is
in % of what the best pair saves against the cheaper of passing all and reviewing all.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from scipy import stats

from detection.protocol import Float64Array
from detection.statistics import DefectTail, NormalTail, Prices, choose_thresholds
from tests.measure.report import Report, show

NORMALS: Final = 500
KNOWN: Final = (0, 5, 20, 50, 200)
PRIOR: Final = 0.005
PRICES: Final = Prices(miss=100, stop=5, review=0.5)
SEED: Final = 20271

Tail = Callable[[Float64Array], Float64Array]
Draw = Callable[[np.random.Generator, int], Float64Array]


@dataclass(frozen=True, slots=True)
class Shape:
    """How scores of good and of defective parts are spread: their tails, and how to draw them."""

    good: Tail
    bad: Tail
    draw_good: Draw
    draw_bad: Draw


class _Distribution(Protocol):
    """What is used of a frozen scipy distribution."""

    def sf(self, at: Float64Array) -> Float64Array: ...
    def rvs(self, size: int, *, random_state: np.random.Generator) -> Float64Array: ...


def _shape(good: _Distribution, *bad: _Distribution) -> Shape:
    """Defects are of one of the kinds, each as likely."""

    def draw_bad(rng: np.random.Generator, count: int) -> Float64Array:
        kind = rng.integers(len(bad), size=count)
        drawn = np.stack([one.rvs(count, random_state=rng) for one in bad])
        return np.asarray(drawn[kind, np.arange(count)], np.float64)

    return Shape(
        good=good.sf,
        bad=lambda at: np.asarray(np.mean([one.sf(at) for one in bad], axis=0)),
        draw_good=lambda rng, count: good.rvs(count, random_state=rng),
        draw_bad=draw_bad,
    )


SHAPES: Final[Mapping[str, Shape]] = {
    "normal, shift 3": _shape(stats.norm(), stats.norm(3)),
    "gamma": _shape(stats.gamma(4), stats.gamma(8, scale=1.6)),
    "heavy tails": _shape(stats.t(5), stats.norm(5, 2)),
    "half easy, half hard": _shape(stats.norm(), stats.norm(7), stats.norm(2)),
}


def study(shape: Shape, known: int, *, repeats: int, rng: np.random.Generator) -> Report:
    """Regret of the chosen and of the raw empirical pair, and how often the plateau is right."""
    grid = np.linspace(-5, 40, 9001)
    first, second = _parts(shape.good(grid), shape.bad(grid))
    suffix = np.minimum.accumulate(second[::-1])[::-1]
    best_at = int(np.argmin(first + suffix))
    best = float((first + suffix)[best_at])
    saving = min(float(first[0]), PRIOR * PRICES.miss) - best
    chosen, raw, held = [], [], 0
    for _ in range(repeats):
        normals, defects = shape.draw_good(rng, NORMALS), shape.draw_bad(rng, known)
        choice = choose_thresholds(
            DefectTail.of(defects, NormalTail.of(normals)), PRICES, prior=PRIOR
        )
        pair = (choice.review_from, np.inf if choice.reject_from is None else choice.reject_from)
        chosen.append(100 * (_true_cost(shape, *pair) - best) / saving)
        held += choice.plateau.low <= grid[best_at] <= choice.plateau.high
        if known:
            raw.append(100 * (_true_cost(shape, *_raw_pair(normals, defects)) - best) / saving)
    report: Report = {"with 5 believed": _spread(chosen), "plateau holds": round(held / repeats, 2)}
    if raw:
        report["raw empirical"] = _spread(raw)
    return report


def _parts(good: Float64Array, bad: Float64Array) -> tuple[Float64Array, Float64Array]:
    """The two parts of the cost of a pair, for every threshold with these true tails."""
    look = PRICES.review + (1 - PRICES.specificity) * PRICES.stop
    slip = (1 - PRICES.sensitivity) * PRICES.miss
    first = PRIOR * ((1 - bad) * PRICES.miss + bad * (PRICES.review + slip))
    second = -PRIOR * bad * (PRICES.review + slip) + (1 - PRIOR) * good * (PRICES.stop - look)
    return first + (1 - PRIOR) * good * look, second


def _true_cost(shape: Shape, review_from: float, reject_from: float) -> float:
    at = np.array([review_from, reject_from])
    first, second = _parts(shape.good(at), shape.bad(at))
    return float(first[0] + second[1])


def _raw_pair(normals: Float64Array, defects: Float64Array) -> tuple[float, float]:
    """The pair that is cheapest on the very scores drawn, as if they were all there is."""
    at = np.unique(np.concatenate([[-np.inf], normals, defects, [np.inf]]))
    good, bad = (np.array([(one > t).mean() for t in at]) for one in (normals, defects))
    first, second = _parts(good, bad)
    pairs = np.where(np.triu(np.ones((at.size, at.size), bool)), first[:, None] + second, np.inf)
    row, column = np.unravel_index(int(np.argmin(pairs)), pairs.shape)
    return float(at[row]), float(at[column])


def _spread(regrets: list[float]) -> Report:
    return {
        "median": round(float(np.median(regrets)), 1),
        "q90": round(float(np.quantile(regrets, 0.9)), 1),
    }


def main() -> None:
    """Print regret per score shape and number of known defects."""
    parser = argparse.ArgumentParser(prog="python -m tests.measure.thresholds", description=__doc__)
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    report: Report = {
        f"{name}, {known} known": study(shape, known, repeats=options.repeats, rng=rng)
        for name, shape in SHAPES.items()
        for known in KNOWN
    }
    show(report, as_json=options.json)


if __name__ == "__main__":
    main()
