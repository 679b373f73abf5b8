"""Figure: seconds from the command line to the first score, and to its exit."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from typing import Any

from detection.bench.children import Workplace
from detection.bench.plan import Plan


def cold_start_figure(model: Path, image: Path, plan: Plan, workplace: Workplace) -> dict[str, Any]:
    """``score MODEL IMAGE`` from nothing: first with empty caches, then with those it left.

    Args:
        model: A saved model.
        image: The file scored.
        plan: How many starts.
        workplace: Gets a cache folder of its own for this.
    """
    cache = workplace.folder / "cold-cache"
    command = ("detection", "score", str(model), str(image), "--json")
    first = workplace.run_ours(*command, cache=cache)
    later = [workplace.run_ours(*command, cache=cache) for _ in range(plan.cold_rounds)]
    bare = [
        workplace.run([sys.executable, "-c", "import numpy"]).seconds
        for _ in range(plan.cold_rounds)
    ]
    return {
        "first_run_ever_seconds": first.seconds,
        "seconds": statistics.median(child.seconds for child in later),
        "fastest_seconds": min(child.seconds for child in later),
        "python_and_numpy_alone_seconds": statistics.median(bare),
        "peak_mb": max(child.peak_mb for child in later),
    }
