"""What the machine could do at best: matrix products and copies. Every figure is held to it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib.util import find_spec

import numpy as np

from detection.bench.plan import Plan
from detection.bench.timing import times_s

# The best counts, not the median: whatever else runs here only slows down.
_ROUNDS = 7


@dataclass(frozen=True, slots=True)
class Limits:
    """Best rates of this machine in this run.

    Attributes:
        gemm_f32_gflops: Products of square float32 matrices by numpy.
        gemm_bf16_gflops: The same in bfloat16 by torch; None without torch.
        copy_gb_per_s: Bytes read plus bytes written by a copy beyond the caches.
    """

    gemm_f32_gflops: float
    gemm_bf16_gflops: float | None
    copy_gb_per_s: float

    def to_json(self) -> dict[str, float | None]:
        """The rates by name."""
        return asdict(self)

    def gemm_s(self, rows: float, columns: int, width: int) -> float:
        """Seconds that the products of ``rows`` with ``columns`` vectors take at best."""
        return 2.0 * rows * columns * width / (1e9 * self.gemm_f32_gflops)


def measure_limits(plan: Plan, *, threads: int) -> Limits:
    """The best of a few products and copies."""
    rng = np.random.default_rng(0)
    left = rng.standard_normal((plan.gemm_side, plan.gemm_side)).astype(np.float32)
    right = left.T.copy()
    product = np.empty_like(left)
    flops = 2.0 * plan.gemm_side**3
    gemm = min(times_s(lambda: np.matmul(left, right, out=product), rounds=_ROUNDS))
    source = np.ones(plan.copy_mb * 2**20 // 8)
    target = np.empty_like(source)
    copy = min(times_s(lambda: np.copyto(target, source), rounds=_ROUNDS))
    return Limits(
        gemm_f32_gflops=flops / gemm / 1e9,
        gemm_bf16_gflops=_bf16_gflops(plan.gemm_side, threads),
        copy_gb_per_s=2.0 * source.nbytes / copy / 1e9,
    )


def _bf16_gflops(side: int, threads: int) -> float | None:
    if find_spec("torch") is None:
        return None
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        left = torch.ones((side, side), dtype=torch.bfloat16)
        product = torch.empty_like(left)
        best = min(times_s(lambda: torch.matmul(left, left, out=product), rounds=_ROUNDS))
    finally:
        torch.set_num_threads(before)
    return 2.0 * side**3 / best / 1e9
