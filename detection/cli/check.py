"""``python -m detection check``: does a model react to drawn defects at all?"""

from __future__ import annotations

import argparse
from pathlib import Path

from detection.cli.terminal import Commands, Progress, add_common, cache_folder, print_json
from detection.protocol import ImageSource


def add_to(commands: Commands) -> None:
    """Register the command."""
    check = commands.add_parser(
        "check",
        help="see whether a model reacts to synthetic defects",
        description="Draws blotches, pasted pieces and scratches on normal images. A sanity check "
        "of the set-up: it says nothing about real defects.",
    )
    check.add_argument("model", type=Path)
    check.add_argument(
        "folder", type=Path, help="normals the model did not learn from; MVTec layout: test/good"
    )
    check.add_argument("--seed", type=int, default=0, help="of the drawn defects (default 0)")
    add_common(check)
    check.set_defaults(command=_check)


def _check(options: argparse.Namespace) -> None:
    import numpy as np

    from detection.model import load_model
    from detection.mvtec import read_folder
    from detection.sources import Subset
    from detection.synthetic import SYNTHETIC_NOTE, sanity_check

    folder = read_folder(options.folder, bit_depth=options.bit_depth)
    images: ImageSource = folder.normals
    if folder.labelled is not None:
        good = np.flatnonzero([not kind for kind in folder.labelled.defect_types])
        images = Subset(folder.labelled.images, good)
    model = load_model(options.model, threads=options.threads, cache=cache_folder())
    result = sanity_check(
        model, images, np.random.default_rng(options.seed), on_progress=Progress()
    )
    if options.json:
        print_json(result.to_json())
        return
    print(SYNTHETIC_NOTE)
    for kind in (result.normal, *result.kinds):
        low, high = (100 * end for end in kind.interval)
        area = "" if kind.auroc is None else f", AUROC against the normals {kind.auroc:.4f}"
        print(
            f"{kind.kind:9s} {kind.flagged} of {kind.n} flagged "
            f"(95 % interval {low:.3g} to {high:.3g} %){area}"
        )
    if not result.reacts:
        print("caution: the model does not react to some of them; look at the set-up")
    if result.normals_differ:
        print("caution: these normals are not like those the model was calibrated on")
