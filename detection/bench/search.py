"""Figure: how long it takes to look up one image's vectors in a bank, by every exact kind."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from detection.bench.limits import Limits
from detection.bench.plan import Plan
from detection.bench.timing import median_s
from detection.protocol import Float32Array, Int64Array
from detection.search import ExactSearch, available_kinds, choose_kind


def search_figure(
    bank: Float32Array, queries: Float32Array, plan: Plan, limits: Limits
) -> dict[str, Any]:
    """Milliseconds of each kind, and of the matrix product that brute force needs at least.

    Args:
        bank: ``(rows, channels)`` float32.
        queries: ``(rows, channels)`` float32.
        plan: How often each kind is timed.
        limits: Of this machine.
    """
    floor_ms = 1000 * limits.gemm_s(len(queries), len(bank), bank.shape[1])
    kinds: dict[str, Any] = {}
    first: tuple[Float32Array, Int64Array] | None = None
    for kind in available_kinds():
        search = ExactSearch(bank, kind=kind)
        found = search.nearest(queries)
        evaluations = search.evaluations
        first = found if first is None else first
        milliseconds = 1000 * median_s(partial(search.nearest, queries), rounds=plan.rounds)
        kinds[kind] = {
            "ms": milliseconds,
            "times_gemm_floor": milliseconds / floor_ms,
            "share_of_plain_evaluations": evaluations / (len(queries) * len(bank)),
            "same_bits_as_first_kind": np.array_equal(found[0], first[0])
            and np.array_equal(found[1], first[1]),
        }
    chosen = choose_kind(bank, queries).kind
    return {
        "queries": len(queries),
        "bank_rows": len(bank),
        "channels": bank.shape[1],
        "gemm_floor_ms": floor_ms,
        "chosen_kind": chosen,
        "chosen_ms": kinds[chosen]["ms"],
        "kinds": kinds,
    }
