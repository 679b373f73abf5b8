"""Holds the numeric libraries to a number of threads for the length of a block of work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """Run the block with at most ``threads`` threads in the linear algebra libraries."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=threads):
        yield
