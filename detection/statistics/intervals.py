"""Exact intervals for shares: Clopper-Pearson, two-sided for charts, one-sided for claims."""

from typing import NamedTuple

from scipy.special import betaincinv

ALPHA = 0.05  # all intervals of the product are 95 % intervals


class Interval(NamedTuple):
    """Lower and upper end of an interval for a share, both in [0, 1]."""

    low: float
    high: float


def clopper_pearson(events: float, n: float, *, alpha: float = ALPHA) -> Interval:
    """Return the two-sided exact interval of a share.

    Args:
        events: How many of them; need not be whole (estimated counts).
        n: Out of how many; need not be whole.
        alpha: One minus the confidence, in (0, 1).

    Returns:
        The interval; [0, 1] where n is 0.

    Raises:
        ValueError: ``events`` or ``n`` negative, more events than n, or alpha out of range.

    Source: Clopper and Pearson 1934, as quantiles of the beta distribution.
    """
    _check(events, n, alpha)
    low = 0.0 if events == 0 else float(betaincinv(events, n - events + 1, alpha / 2))
    high = 1.0 if events >= n else float(betaincinv(events + 1, n - events, 1 - alpha / 2))
    return Interval(low, high)


def upper_bound(events: float, n: float, *, alpha: float = ALPHA) -> float:
    """Return the one-sided exact upper bound of a share: for claims of the kind "below X".

    Args, raises and source as ``clopper_pearson``.
    """
    return clopper_pearson(events, n, alpha=2 * alpha).high


def lower_bound(events: float, n: float, *, alpha: float = ALPHA) -> float:
    """Return the one-sided exact lower bound of a share: for claims of the kind "above X".

    Args, raises and source as ``clopper_pearson``.
    """
    return clopper_pearson(events, n, alpha=2 * alpha).low


def _check(events: float, n: float, alpha: float) -> None:
    if not 0 <= events <= n:
        raise ValueError(f"{events} events of {n} are not a share")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is {alpha}, not between 0 and 1")
