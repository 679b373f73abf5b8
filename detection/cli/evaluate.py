"""``python -m detection evaluate``: measure a model on labelled images, and keep count."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from detection.cli.terminal import Commands, Progress, add_common, print_json
from detection.protocol import DetectionError

if TYPE_CHECKING:
    from detection.evaluation import LabelledSource

MAIN_FIGURES: Final = (
    "image_auroc", "image_ap", "pixel_auroc", "aupro", "aupro_05", "pixel_iou", "region_recall",
    "region_precision", "detection_rate", "false_alarm_rate", "ms_per_image", "p95_ms",
)  # fmt: skip


def add_to(commands: Commands) -> None:
    """Register the command."""
    evaluate = commands.add_parser("evaluate", help="measure a model on labelled images")
    evaluate.add_argument("model", type=Path)
    evaluate.add_argument("folder", type=Path, help="MVTec layout with a test folder")
    evaluate.add_argument("--seed", type=int, default=0, help="of the bootstrap (default 0)")
    log = evaluate.add_mutually_exclusive_group()
    log.add_argument("--log", type=Path, metavar="FILE", help="where every run leaves a line")
    log.add_argument("--no-log", action="store_true", help="leave no line")
    add_common(evaluate)
    evaluate.set_defaults(command=_evaluate)


def _evaluate(options: argparse.Namespace) -> None:
    from detection.evaluation import evaluate
    from detection.model import load_model, read_manifest
    from detection.mvtec import read_folder

    labelled = read_folder(options.folder, bit_depth=options.bit_depth).labelled
    if labelled is None:
        raise DetectionError(f"{options.folder} has no test folder, so nothing to evaluate on.")
    model = load_model(options.model, threads=options.threads)
    manifest = read_manifest(options.model)
    if options.log is not None:
        _check_writable(options.log)  # said now, not after minutes of scoring
    evaluation = evaluate(model, labelled, seed=options.seed, on_progress=Progress())
    report = evaluation.to_json() | {
        "model_sha256": manifest.sha256,
        "config_digest": _config_digest(manifest.method, manifest.config),
        "set_digest": _set_digest(options.folder, labelled),
        "threads": options.threads,
    }
    runs = None if options.no_log else _logged(options, report, fit_seed=manifest.seed)
    report["runs_logged_on_this_set"] = runs
    if options.json:
        print_json(report)
        return
    print(f"{report['n_normal']} normal and {report['n_defect']} defective images")
    for name in MAIN_FIGURES:
        print(f"{name:17s} {_words(report[name], report['intervals'].get(name))}")
    if runs is not None:
        print(f"evaluations logged on this set: {runs}")


def _words(value: float | None, interval: list[float] | None) -> str:
    if value is None:
        return "not measurable"
    beside = f"  95 % interval {interval[0]:.4f} to {interval[1]:.4f}" if interval else ""
    return f"{value:.4f}{beside}"


def _logged(options: argparse.Namespace, report: Mapping[str, Any], *, fit_seed: int) -> int | None:
    from detection.evaluation import append_run

    run = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "model_sha256": report["model_sha256"],
        "config_digest": report["config_digest"],
        "seed": fit_seed,
        "folder": options.folder.resolve().name,
        "set_digest": report["set_digest"],
        "n_normal": report["n_normal"],
        "n_defect": report["n_defect"],
        **{name: report[name] for name in MAIN_FIGURES},
    }
    if options.log is not None:
        return append_run(options.log, run)
    try:
        return append_run(default_log(), run)
    except DetectionError as error:  # nobody asked for this file: the figures are worth more
        print(f"warning: {error}", file=sys.stderr)
        return None


def default_log() -> Path:
    """The log in the user's own state folder."""
    state = Path(os.environ.get("XDG_STATE_HOME", ""))
    if not state.is_absolute():
        state = Path.home() / ".local" / "state"
    return state / "secondlook" / "evaluations.jsonl"


def _check_writable(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab"):
            pass
    except OSError as error:
        raise DetectionError(f"The log {path} cannot be written: {error.strerror}.") from error


def _set_digest(folder: Path, labelled: LabelledSource) -> str:
    from detection.evaluation import file_list_digest

    return file_list_digest((name, (folder / name).stat().st_size) for name in labelled.ids)


def _config_digest(method: str, config: Mapping[str, Any]) -> str:
    """A digest of the settings alone: the same for every set of normals and every seed."""
    settings = {name: value for name, value in config.items() if name not in ("ids", "threads")}
    text = json.dumps([method, settings], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
