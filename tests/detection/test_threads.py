import threading
from collections.abc import Iterator

import pytest

from detection.threads import AHEAD, one_thread_each, ordered_map


class Numbered:
    """Items by number; notes how many were read and by whom."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.readers: list[str] = []

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        return (self[number] for number in range(self.count))

    def __getitem__(self, number: int) -> int:
        self.readers.append(threading.current_thread().name)
        return number


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_come_in_order(threads: int) -> None:
    gate = threading.Event()

    def work(item: int) -> int:
        if threads > 1 and item == 0:
            gate.wait(10)  # the first is done last
        if item == 1:
            gate.set()
        return item * item

    expected = [item * item for item in range(23)]
    assert list(ordered_map(work, Numbered(23), threads=threads)) == expected
    gate.clear()
    assert list(ordered_map(work, iter(range(23)), threads=threads)) == expected
    assert list(ordered_map(work, [], threads=threads)) == []


def test_sources_by_number_are_read_by_the_working_threads() -> None:
    source = Numbered(9)
    list(ordered_map(str, source, threads=2))
    assert all(name.startswith("images") for name in source.readers)
    walked = Numbered(9)
    list(ordered_map(str, iter(walked), threads=2))
    assert set(walked.readers) == {threading.current_thread().name}


def test_few_items_are_read_ahead_and_none_after_a_stop() -> None:
    walked = Numbered(100)
    results = ordered_map(str, iter(walked), threads=2)
    assert next(results) == "0"
    assert len(walked.readers) <= AHEAD * 2
    results.close()  # type: ignore[attr-defined]
    assert len(walked.readers) <= AHEAD * 2
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("images")]


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_is_raised_at_its_turn(threads: int) -> None:
    def work(item: int) -> int:
        if item == 4:
            raise ValueError("no 4")
        return item

    results = ordered_map(work, range(50), threads=threads)
    assert [next(results) for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="no 4"):
        next(results)


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_of_the_source_is_raised_at_its_turn(threads: int) -> None:
    def source() -> Iterator[int]:
        yield from range(4)
        raise ValueError("the fifth is damaged")

    results = ordered_map(str, source(), threads=threads)
    assert [next(results) for _ in range(4)] == ["0", "1", "2", "3"]
    with pytest.raises(ValueError, match="the fifth"):
        next(results)


def blas_threads() -> list[int]:
    """Of the libraries whose number is the whole process's, as numpy's and scipy's.

    Where OpenMP runs the threads, as in faiss's own library, each thread has a number of its own.
    """
    import scipy.linalg  # noqa: F401  its library must be loaded to be found
    from threadpoolctl import threadpool_info  # type: ignore[import-untyped]

    blas = [info for info in threadpool_info() if info["user_api"] == "blas"]
    return [int(info["num_threads"]) for info in blas if info["threading_layer"] != "openmp"]


def test_linear_algebra_is_held_and_let_go() -> None:
    before = blas_threads()
    with one_thread_each():
        assert set(blas_threads()) == {1}
        with one_thread_each():
            assert set(blas_threads()) == {1}
        assert set(blas_threads()) == {1}
    assert blas_threads() == before


def test_threads_that_overlap_let_go_only_when_the_last_is_out() -> None:
    before = blas_threads()
    inside, may_leave = threading.Event(), threading.Event()

    def other() -> None:
        with one_thread_each():
            inside.set()
            may_leave.wait(10)

    thread = threading.Thread(target=other)
    with one_thread_each():
        thread.start()
        assert inside.wait(10)
    # The one that came first is out, the other still computes.
    assert set(blas_threads()) == {1}
    may_leave.set()
    thread.join()
    assert blas_threads() == before


def test_linear_algebra_is_let_go_after_an_error() -> None:
    before = blas_threads()
    with pytest.raises(RuntimeError, match="no memory"), one_thread_each():
        raise RuntimeError("no memory")
    assert blas_threads() == before


def test_every_thread_is_held_though_another_came_before() -> None:
    before = blas_threads()
    held: list[set[int]] = []
    came, may_leave = threading.Event(), threading.Event()

    def first() -> None:
        with one_thread_each():
            held.append(set(blas_threads()))
        came.set()
        may_leave.wait(10)  # alive, but out

    thread = threading.Thread(target=first)
    thread.start()
    assert came.wait(10)
    with one_thread_each():
        held.append(set(blas_threads()))
    assert blas_threads() == before
    may_leave.set()
    thread.join()
    assert held == [{1}, {1}]
