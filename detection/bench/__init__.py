"""The speed bench: every figure of the vision core beside the machine's limits and a peer.

For a whole machine at rest. CI runs counts instead (``tests/detection/bench``), never seconds.
"""

from detection.bench.plan import FULL, QUICK, Plan
from detection.bench.run import run_bench
from detection.bench.table import table

__all__ = ["FULL", "QUICK", "Plan", "run_bench", "table"]
