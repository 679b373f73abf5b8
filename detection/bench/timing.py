"""Medians of repeated timings, and the numeric libraries held to a number of threads."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def times_s(function: Callable[[], object], *, rounds: int, warmups: int = 1) -> list[float]:
    """Seconds of each of ``rounds`` calls, after ``warmups`` calls that do not count."""
    for _ in range(warmups):
        function()
    seconds: list[float] = []
    for _ in range(rounds):
        begin = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - begin)
    return seconds


def median_s(function: Callable[[], object], *, rounds: int, warmups: int = 1) -> float:
    """The median of ``times_s``."""
    return statistics.median(times_s(function, rounds=rounds, warmups=warmups))


@contextmanager
def numeric_threads(threads: int) -> Iterator[None]:
    """Run the block with at most ``threads`` threads in the linear algebra libraries.

    Without threadpoolctl nothing is limited.
    """
    try:
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
    except ImportError:
        yield
        return
    with threadpool_limits(limits=threads):
        yield
