"""``python -m detection evaluate``: measure a model on labelled images, and keep count."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detection.cli.terminal import Commands, Progress, add_common, cache_folder, print_json
from detection.protocol import DetectionError

if TYPE_CHECKING:
    from detection.evaluation import LabelledSource


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
    from detection.evaluation import MAIN_FIGURES, config_digest, evaluate, run_line
    from detection.model import load_model, read_manifest
    from detection.mvtec import read_folder

    labelled = read_folder(options.folder, bit_depth=options.bit_depth).labelled
    if labelled is None:
        raise DetectionError(f"{options.folder} has no test folder, so nothing to evaluate on.")
    model = load_model(options.model, threads=options.threads, cache=cache_folder())
    manifest = read_manifest(options.model)
    if options.log is not None:
        _check_writable(options.log)  # said now, not after minutes of scoring
    report = evaluate(model, labelled, seed=options.seed, on_progress=Progress()).to_json()
    report |= {
        "model_sha256": manifest.sha256,
        "config_digest": config_digest(manifest.method, manifest.config),
        "set_digest": _set_digest(options.folder, labelled),
        "threads": options.threads,
        "runs_logged_on_this_set": None,
    }
    if not options.no_log:
        run = run_line(
            report,
            folder=options.folder.resolve().name,
            set_digest=report["set_digest"],
            method=manifest.method,
            config=manifest.config,
            seed=manifest.seed,
            model_sha256=manifest.sha256,
        )
        report["runs_logged_on_this_set"] = _logged(run, options.log)
    if options.json:
        print_json(report)
        return
    print(f"{report['n_normal']} normal and {report['n_defect']} defective images")
    for name in MAIN_FIGURES:
        print(f"{name:17s} {_words(report[name], report['intervals'].get(name))}")
    if report["runs_logged_on_this_set"] is not None:
        print(f"evaluations logged on this set: {report['runs_logged_on_this_set']}")


def _words(value: float | None, interval: list[float] | None) -> str:
    if value is None:
        return "not measurable"
    beside = f"  95 % interval {interval[0]:.4f} to {interval[1]:.4f}" if interval else ""
    return f"{value:.4f}{beside}"


def _logged(run: Mapping[str, Any], log: Path | None) -> int | None:
    from detection.evaluation import append_run

    if log is not None:
        return append_run(log, run)
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
