"""What a measurement says: numbers with their n, as lines for people or as JSON for programs."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

Value: TypeAlias = "float | int | str | Mapping[str, Value]"
Report: TypeAlias = dict[str, Value]


def spread(seconds: Sequence[float]) -> Report:
    """Return n, median, 95th percentile and maximum; only n where there is nothing."""
    if not seconds:
        return {"n": 0}
    values = np.asarray(seconds)
    return {
        "n": len(values),
        "median_s": round(float(np.median(values)), 3),
        "p95_s": round(float(np.percentile(values, 95)), 3),
        "max_s": round(float(values.max()), 3),
    }


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def note(words: str) -> None:
    """Say what goes on, beside the report."""
    print(words, file=sys.stderr, flush=True)  # noqa: T201


def show(report: Report, *, as_json: bool) -> None:
    """Print a report."""
    print(json.dumps(report) if as_json else "\n".join(_lines(report)), flush=True)  # noqa: T201


def _lines(report: Report) -> list[str]:
    width = max(len(name) for name in report)
    return [f"{name.replace('_', ' '):<{width}}  {_words(value)}" for name, value in report.items()]


def _words(value: Value) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name.replace('_', ' ')} {_words(one)}" for name, one in value.items())
    return str(value)
