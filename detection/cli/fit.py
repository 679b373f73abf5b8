"""``python -m detection fit``: learn what is normal and save the model."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detection.cli.terminal import (
    Commands,
    Progress,
    UsageError,
    add_common,
    cache_folder,
    print_json,
)

if TYPE_CHECKING:
    from detection.mvtec import Unreadable


def add_to(commands: Commands) -> None:
    """Register the command."""
    fit = commands.add_parser("fit", help="learn what is normal from a folder of images")
    fit.add_argument("folder", type=Path, help="MVTec layout, or a flat folder of normal images")
    fit.add_argument("--out", type=Path, required=True, help="directory of the saved model")
    fit.add_argument("--method", default="patchcore")
    fit.add_argument("--preset", help="best (default) or fast")
    fit.add_argument("--backbone", help="a timm model name")
    fit.add_argument("--weights", help="a weights file for --backbone; else its hub")
    fit.add_argument(
        "--calibrate",
        default="held-out",
        help="held-out (default): on normals that are not learned, which can promise a rate of "
        "false alarms; left-out: learn all, which promises nothing",
    )
    fit.add_argument(
        "--set",
        dest="settings",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        type=_setting,
        help="any other setting of the method, such as side=512, tiles=native, foreground=true",
    )
    fit.add_argument("--seed", type=int, default=0)
    fit.add_argument(
        "--skip-unreadable",
        action="store_true",
        help="fit on the images that can be read and name the others; else one stops the fit",
    )
    add_common(fit)
    fit.set_defaults(command=_fit)


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE, not {text!r}")
    try:
        return name, json.loads(value)
    except ValueError:  # a plain word
        return name, value


def _fit(options: argparse.Namespace) -> None:
    from detection.artifact import check_target
    from detection.model import fit_model, save_model
    from detection.mvtec import FolderError, find_unreadable, read_folder, unreadable_error

    config: dict[str, Any] = dict(options.settings)
    if options.preset is not None:
        config["preset"] = options.preset
    if options.weights is not None and options.backbone is None:
        raise UsageError("--weights needs --backbone.")
    if options.backbone is not None:
        config["backbone"] = {"name": options.backbone, "layers": [], "weights": options.weights}
    check_target(options.out)
    normals = read_folder(options.folder, bit_depth=options.bit_depth).normals
    begin = time.perf_counter()
    skipped: tuple[Unreadable, ...] = ()
    if options.skip_unreadable:
        skipped = find_unreadable(normals, on_progress=Progress())
        normals = normals.without({file.id for file in skipped})
    try:
        model = fit_model(
            normals,
            ids=normals.ids,
            method=options.method,
            config=config,
            calibrate=options.calibrate,
            seed=options.seed,
            threads=options.threads,
            cache=cache_folder(),
            on_progress=Progress(),
        )
    except FolderError as error:
        # All of them at once: whoever mends a folder does not want to come back for each.
        found = find_unreadable(normals)
        raise (unreadable_error(found, len(normals)) if found else error) from error
    seconds = time.perf_counter() - begin
    manifest = save_model(model, options.out)
    calibration = model.calibration
    if options.json:
        print_json(
            {
                "model": str(options.out),
                "sha256": manifest.sha256,
                "n_normal": len(normals),
                "skipped": [{"image": file.id, "reason": file.reason} for file in skipped],
                "calibration": dict(manifest.calibration),
                "pixel_threshold": model.pixel_threshold,
                "seconds": seconds,
            }
        )
        return
    print(f"{options.out}: learned from {len(normals)} normal images in {seconds:.1f} s")
    for file in skipped:
        print(f"skipped {file.id}: {file.reason}")
    print(f"calibration: {len(calibration.scores)} scores, {calibration.kind}")
