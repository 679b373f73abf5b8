"""Holds the numeric libraries to a number of threads for the length of a block of work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any


@contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """Run the block with at most ``threads`` threads in the linear algebra libraries.

    Without threadpoolctl nothing is limited.
    """
    controller = _controller()
    if controller is None:
        yield
        return
    with controller.limit(limits=threads):
        yield


@lru_cache(maxsize=1)
def _controller() -> Any:
    # Looking for the loaded libraries takes milliseconds, so it is done once.
    import numpy as np  # noqa: F401  its library must be loaded to be found

    try:
        from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]
    except ImportError:
        return None
    return ThreadpoolController()
