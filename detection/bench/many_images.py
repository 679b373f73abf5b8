"""Fits the default detector on many made-up images, for whoever weighs the process.

``python -m detection.bench.many_images COUNT SIDE_PX THREADS CACHE MODEL``; prints what the
imports and the sample parts took before the fit began.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

from detection.bench.launcher import MAXRSS_UNIT_BYTES
from detection.bench.pictures import Pictures
from detection.model import fit_model, save_model


def main(arguments: list[str]) -> None:
    """Fit and save."""
    count, side_px, threads = (int(text) for text in arguments[:3])
    pictures = Pictures(count, side_px)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MAXRSS_UNIT_BYTES
    model = fit_model(
        pictures,
        ids=[str(number) for number in range(count)],
        threads=threads,
        cache=Path(arguments[3]),
    )
    save_model(model, Path(arguments[4]))
    sys.stdout.write(json.dumps({"peak_mb_before_the_fit": before / 1e6}))


if __name__ == "__main__":
    main(sys.argv[1:])
