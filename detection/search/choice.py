"""Which kind of exact search is fastest for a bank on this machine: a short timing, remembered.

The answer belongs to the machine, never to the artefact; all kinds give the same results.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path

from detection.protocol import Float32Array
from detection.search.exact import ExactSearch, available_kinds

_QUERIES = 256  # of those given, timed
_ROUNDS = 3  # the best counts: whatever else runs here only slows down
_BANKS_REMEMBERED = 200


@dataclass(frozen=True, slots=True)
class KindTiming:
    """What a timing found.

    Attributes:
        kind: The fastest.
        seconds: Kind -> seconds for the queries timed; empty when the answer was remembered.
    """

    kind: str
    seconds: dict[str, float]


def choose_kind(
    bank: Float32Array,
    queries: Float32Array,
    *,
    kinds: tuple[str, ...] | None = None,
    memory: Path | None = None,
) -> KindTiming:
    """The fastest kind of `ExactSearch` for such queries here.

    Args:
        bank: ``(rows, channels)`` float32.
        queries: ``(rows, channels)`` float32, real ones; up to 256 spread over them are timed.
        kinds: Kinds that may be chosen; all that are installed for None.
        memory: A JSON file that remembers answers by bank, machine and kinds. One that cannot be
            read or written is left aside: it saves some tens of milliseconds, no more.

    Raises:
        ValueError: No queries, or no kinds.
    """
    among = available_kinds() if kinds is None else kinds
    if len(queries) == 0 or not among:
        raise ValueError("a timing needs queries and kinds to choose from")
    if len(among) == 1:
        return KindTiming(among[0], {})
    key = _key(bank, among)
    remembered = _read(memory)
    if remembered.get(key) in among:
        return KindTiming(remembered[key], {})
    sample = queries[:: -(-len(queries) // _QUERIES)]
    seconds = {kind: _time(ExactSearch(bank, kind=kind), sample) for kind in among}
    kind = min(among, key=lambda name: seconds[name])
    if memory is not None:
        _write(memory, {**remembered, key: kind})
    return KindTiming(kind, seconds)


def _time(search: ExactSearch, queries: Float32Array) -> float:
    search.nearest(queries[:4])  # compiles or loads what it needs
    times = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        search.nearest(queries)
        times.append(time.perf_counter() - start)
    return min(times)


def _key(bank: Float32Array, kinds: tuple[str, ...]) -> str:
    machine = f"{platform.machine()} {platform.processor()} {_cpu_name()} {os.cpu_count()}"
    digest = hashlib.blake2b(bank.tobytes(), digest_size=16)
    digest.update(f"{bank.shape} {machine} {kinds}".encode())
    return digest.hexdigest()


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return ""  # not Linux: the architecture has to do
    return next((line for line in lines if line.startswith("model name")), "")


def _read(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    try:
        answers = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(answers, dict):
        return {}
    return {str(key): kind for key, kind in answers.items() if isinstance(kind, str)}


def _write(path: Path, answers: dict[str, str]) -> None:
    latest = dict(list(answers.items())[-_BANKS_REMEMBERED:])
    # Its own name per process: two that finish at once must not write into one file.
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        partial.write_text(json.dumps(latest, indent=1), encoding="utf-8")
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
