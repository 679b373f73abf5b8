import json
from pathlib import Path

import numpy as np
import pytest

from detection.protocol import Float32Array
from detection.search import choice, choose_kind
from detection.search.exact import ExactSearch

KINDS = ("blocked", "clustered")


@pytest.fixture
def bank() -> Float32Array:
    return np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)


@pytest.fixture
def slow_blocked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Say how long each kind takes instead of timing it; returns what was asked."""
    asked: list[str] = []

    def seconds(search: ExactSearch, queries: Float32Array) -> float:
        asked.append(search.kind)
        return {"blocked": 2.0, "clustered": 1.0}[search.kind]

    monkeypatch.setattr(choice, "_time", seconds)
    return asked


@pytest.mark.usefixtures("slow_blocked")
def test_the_fastest_kind_wins(bank: Float32Array) -> None:
    timing = choose_kind(bank, bank, kinds=KINDS)
    assert timing.kind == "clustered"
    assert timing.seconds == {"blocked": 2.0, "clustered": 1.0}


def test_really_times_each_kind(bank: Float32Array) -> None:
    timing = choose_kind(bank, bank, kinds=KINDS)
    assert set(timing.seconds) == set(KINDS)
    assert timing.seconds[timing.kind] == min(timing.seconds.values()) > 0


def test_remembers_per_bank(bank: Float32Array, slow_blocked: list[str], tmp_path: Path) -> None:
    memory = tmp_path / "search.json"
    choose_kind(bank, bank, kinds=KINDS, memory=memory)
    again = choose_kind(bank, bank, kinds=KINDS, memory=memory)
    assert (again.kind, again.seconds) == ("clustered", {})
    assert len(slow_blocked) == 2
    choose_kind(bank + 1, bank, kinds=KINDS, memory=memory)
    assert len(slow_blocked) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["search.json"]


@pytest.mark.usefixtures("slow_blocked")
@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b"\xff\xfe", b'{"a": 3}'])
def test_a_damaged_memory_is_timed_anew_and_mended(
    bank: Float32Array, tmp_path: Path, content: bytes
) -> None:
    memory = tmp_path / "search.json"
    memory.write_bytes(content)
    assert choose_kind(bank, bank, kinds=KINDS, memory=memory).kind == "clustered"
    assert list(json.loads(memory.read_text()).values()) == ["clustered"]


@pytest.mark.usefixtures("slow_blocked")
def test_a_memory_that_cannot_be_written_is_left_aside(bank: Float32Array, tmp_path: Path) -> None:
    timing = choose_kind(bank, bank, kinds=KINDS, memory=tmp_path / "missing" / "search.json")
    assert timing.kind == "clustered"


def test_a_single_kind_needs_no_timing(bank: Float32Array, slow_blocked: list[str]) -> None:
    assert choose_kind(bank, bank, kinds=("blocked",)).kind == "blocked"
    assert slow_blocked == []


def test_refuses_no_queries(bank: Float32Array) -> None:
    with pytest.raises(ValueError, match="needs queries"):
        choose_kind(bank, bank[:0])
