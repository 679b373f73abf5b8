"""The numbers of the shift page in words: value, interval, n, and what may be said of them."""

from typing import Any

from detection.statistics import Interval
from inspection.models import Site
from review.estimates import AUDITS_NEEDED, FLAGS_NEEDED, Cost, Misses, Numbers, Share

SIGNS = {"EUR": "€", "USD": "$", "GBP": "£"}
TOO_FEW_AUDITS = "too few audits to tell"


def tiles_of(numbers: Numbers, before: Numbers, before_words: str, site: Site | None) -> list[Any]:
    """Return the four tiles of the page."""
    currency = site.currency if site is not None else "EUR"
    return [
        misses_tile(numbers.misses),
        stopped_tile(numbers, before, before_words),
        precision_tile(numbers, before, before_words),
        cost_tile(numbers.cost, currency),
    ]


def misses_tile(misses: Misses) -> dict[str, Any]:
    """Return the share of passed parts that were defective after all."""
    rate = misses.rate
    tile: dict[str, Any] = {"label": "Defects missed", "url": None}
    if not misses.is_shown:
        return tile | {
            "value": f"{rate.misses:,} of {rate.audits:,}",
            "interval": "audits",
            "sentence": f"A rate needs {AUDITS_NEEDED} blind audits of the {rate.passed:,} parts "
            "passed.",
            "verdict": "too few",
            "verdict_text": TOO_FEW_AUDITS,
        }
    estimate = rate.estimate or 0.0
    sentence = (
        f"{rate.misses:,} found in {rate.audits:,} audits of {rate.passed:,} passed parts. "
        f"Below {percent(rate.upper)} with 95 % confidence."
    )
    if misses.worst is not None:
        sentence += (
            f" Up to {percent(misses.worst.interval.high)} if the "
            f"{misses.worst.audits - rate.audits:,} set aside were misses."
        )
    return tile | {
        "value": percent(estimate),
        "interval": range_words(rate.interval),
        "sentence": sentence,
        "bar": bar_of(estimate, rate.interval),
    }


def stopped_tile(numbers: Numbers, before: Numbers, before_words: str) -> dict[str, Any]:
    """Return the share of good parts that were flagged."""
    share = numbers.good_stopped
    tile: dict[str, Any] = {"label": "Good parts stopped"}
    if share.value is None or share.n < FLAGS_NEEDED:
        return tile | _counts(share, "good parts", "too few good parts to tell")
    return tile | {
        "value": percent(share.value),
        "interval": range_words(share.interval),
        "sentence": f"{share.events:,} of {share.n:,.0f} good parts."
        + _earlier(before.good_stopped, before_words),
        "bar": bar_of(share.value, share.interval),
    }


def precision_tile(numbers: Numbers, before: Numbers, before_words: str) -> dict[str, Any]:
    """Return the share of answered flags that were defects."""
    share = numbers.precision
    tile: dict[str, Any] = {"label": "Flags that were defects"}
    if share.value is None or share.n < FLAGS_NEEDED:
        return tile | _counts(share, "flags", "too few flags to tell")
    return tile | {
        "value": percent(share.value),
        "interval": range_words(share.interval),
        "sentence": f"{share.events:,} of {share.n:,.0f} flags answered."
        + _earlier(before.precision, before_words),
        "bar": bar_of(share.value, share.interval, top=1.0),
    }


def cost_tile(cost: Cost | None, currency: str) -> dict[str, Any]:
    """Return what 1,000 parts cost; misses only where enough audits tell their number."""
    tile: dict[str, Any] = {"label": "Cost of 1,000 parts"}
    if cost is None:
        return tile | {"value": "none", "sentence": "No part was seen in this window."}
    parts = f"stopped parts {money(cost.stopped, currency)}, review {money(cost.review, currency)}"
    if cost.misses is None or cost.interval is None:
        return tile | {
            "value": money(cost.total, currency),
            "interval": "without misses",
            "sentence": f"{parts.capitalize()}. n {cost.n:,} parts.",
            "verdict": "too few",
            "verdict_text": TOO_FEW_AUDITS,
        }
    low, high = max(0.0, cost.interval.low), cost.interval.high
    return tile | {
        "value": money(cost.total, currency),
        "interval": f"{low:,.0f} to {high:,.0f}",
        "sentence": f"Misses {money(cost.misses, currency)}, {parts}. n {cost.n:,} parts.",
        "bar": bar_of(cost.total, Interval(low, high)),
    }


def percent(share: float) -> str:
    """Return a share in percent, with as many digits as a reader can use."""
    value = 100 * share
    return f"{value:.1f} %" if value >= 10 else f"{value:.2f} %"


def range_words(interval: Interval) -> str:
    """Return an interval in percent, without the sign: it stands beside its value."""
    digits = 1 if 100 * interval.high >= 10 else 2
    return f"{100 * interval.low:.{digits}f} to {100 * interval.high:.{digits}f}"


def money(amount: float, currency: str) -> str:
    """Return an amount in the site's currency."""
    digits = 0 if amount >= 10 or amount == 0 else 2
    sign = SIGNS.get(currency)
    return f"{sign}{amount:,.{digits}f}" if sign else f"{amount:,.{digits}f} {currency}"


def bar_of(value: float, interval: Interval, *, top: float | None = None) -> dict[str, Any]:
    """Return the range bar under a number; its right end leaves some air behind the interval."""
    top = top or (interval.high * 1.15) or 1.0
    low, high = 100 * interval.low / top, 100 * min(interval.high / top, 1.0)
    return {
        "low": round(low, 2),
        "width": round(high - low, 2),
        "value": round(min(100 * value / top, 100.0), 2),
        "zero_label": "0",
    }


def _counts(share: Share, what: str, verdict: str) -> dict[str, Any]:
    return {
        "value": f"{share.events:,} of {share.n:,.0f}",
        "interval": what,
        "sentence": f"A share is shown from {FLAGS_NEEDED} on.",
        "verdict": "too few",
        "verdict_text": verdict,
    }


def _earlier(share: Share, words: str) -> str:
    if share.value is None or share.n < FLAGS_NEEDED:
        return ""
    return f" {words} {percent(share.value)} (n {share.n:,.0f})."
