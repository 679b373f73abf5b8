"""``python -m detection bench``: how fast the vision core is here, beside what the chip can do."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

from detection.cli.terminal import Commands, positive, print_json

MANY_IMAGES: Final = 10_000  # a quarter of an hour


def add_to(commands: Commands) -> None:
    """Register the command."""
    bench = commands.add_parser(
        "bench",
        help="measure every speed figure on this machine",
        description="Takes ten to fifteen minutes at full size. Nothing else should run meanwhile.",
    )
    bench.add_argument(
        "folder", type=Path, nargs="?", help="normal images to measure on; else made-up ones"
    )
    bench.add_argument("--json", action="store_true", help="print one JSON object")
    bench.add_argument("--threads", type=positive, default=1, help="CPU threads (default 1)")
    size = bench.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="small sizes, to see that it runs")
    size.add_argument(
        "--full", action="store_true", help=f"weigh a fit on {MANY_IMAGES:,} images as well"
    )
    bench.add_argument(
        "--peers", type=Path, metavar="PYTHON", help="an interpreter that has anomalib 2.7"
    )
    bench.set_defaults(command=_bench)


def _bench(options: argparse.Namespace) -> None:
    from detection.bench import FULL, QUICK, run_bench, table

    plan = QUICK if options.quick else FULL
    if options.full:
        plan = replace(plan, memory_images=(*plan.memory_images, MANY_IMAGES))
    report = run_bench(
        plan,
        environment=os.environ,
        directory=options.folder,
        peer=options.peers,
        threads=options.threads,
        on_progress=_say,
    )
    if options.json:
        print_json(report)
        return
    print(table(report))


def _say(done: int, total: int, note: str) -> None:
    """Each step on a line: a run takes minutes, and logs want it, too."""
    print(f"{done} of {total}: {note}", file=sys.stderr, flush=True)
