"""Threads: several images at work at once, and the numeric libraries held to a number of them."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any, NoReturn, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# Enough that no thread waits for a slow item before it, and few images in memory.
AHEAD = 2


class _OneThreadEach:
    """The linear algebra libraries' number of threads, held at one while anybody computes.

    The number is the whole process's: the first one in notes it, and the last one out sets it
    again, so that threads that overlap do not restore each other's limit.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._controller: Any = None
        self._limit: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._controller = _controller(len(sys.modules))
                if self._controller is not None:
                    _let_any_thread_set(self._controller)
                    self._limit = self._controller.limit(limits=1)
            self._inside += 1

    def __exit__(self, *_raised: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._limit is not None:
                _let_any_thread_set(self._controller)
                self._limit.restore_original_limits()
                _let_any_thread_set(self._controller)


_ONE_THREAD_EACH = _OneThreadEach()


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Run the block with one thread in the linear algebra libraries; may overlap with others.

    More threads work on more images, never on one product: the order of its sums, and with it
    the last bit, would depend on their number. Without threadpoolctl nothing is limited.
    """
    with _ONE_THREAD_EACH:
        yield


@lru_cache(maxsize=1)
def _controller(_modules: int) -> Any:
    # Looking for the loaded libraries takes milliseconds, so it is done again only when more
    # modules, and with them perhaps another library, were imported.
    import numpy as np  # noqa: F401  its library must be loaded to be found

    try:
        from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]
    except ImportError:
        return None
    return ThreadpoolController()


def _let_any_thread_set(controller: Any) -> None:
    """Let whichever thread comes next set the number, as the caller's lock makes safe.

    threadpoolctl lets only the thread that set OpenBLAS's number first set it again, as long as
    that one lives, and ignores all others without a word.
    """
    for library in controller.lib_controllers:
        if clear := getattr(library, "clear_controlling_thread", None):
            clear(force=True)


def ordered_map(
    function: Callable[[Item], Result], source: Iterable[Item], *, threads: int
) -> Iterator[Result]:
    """The function's result for each item, in order, several items at work at once.

    Each item is worked on by one thread. A source that can be read by number is read by the
    working threads as well (decoding files takes as long as looking at them); any other one is
    walked by the caller's thread. At most ``AHEAD`` items a thread are read before their turn.
    The first error is raised at its item's turn, and what was not begun by then is left undone,
    as it is when the caller stops.

    Args:
        function: Called from several threads at once when ``threads`` is above 1.
        source: The items; each is asked for once.
        threads: Items worked on at once; 1 works in the caller's thread.
    """
    if threads <= 1 or (isinstance(source, Sized) and len(source) <= 1):
        yield from map(function, source)
        return
    read = getattr(source, "__getitem__", None)
    jobs: Iterator[Callable[[], Result]]
    if read is not None and isinstance(source, Sized):
        jobs = (partial(_read_and_call, function, read, number) for number in range(len(source)))
    else:
        jobs = _walk_and_call(function, source)
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="images")
    try:
        for job in jobs:
            waiting.append(pool.submit(job))
            if len(waiting) >= AHEAD * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _walk_and_call(
    function: Callable[[Item], Result], source: Iterable[Item]
) -> Iterator[Callable[[], Result]]:
    walk = iter(source)
    while True:
        try:
            item = next(walk)
        except StopIteration:
            return
        except Exception as error:  # raised once the items before it had their turn
            yield partial(_raise, error)
            return
        yield partial(function, item)


def _raise(error: Exception) -> NoReturn:
    raise error


def _read_and_call(
    function: Callable[[Item], Result], read: Callable[[int], Item], number: int
) -> Result:
    return function(read(number))
