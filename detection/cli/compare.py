"""``python -m detection compare``: which of two models is better on the same images, how surely."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from detection.cli.terminal import Commands, print_json
from detection.protocol import DetectionError


def add_to(commands: Commands) -> None:
    """Register the command."""
    compare = commands.add_parser("compare", help="compare two evaluations of the same images")
    compare.add_argument("a", type=Path, help="what evaluate --json printed for one model")
    compare.add_argument("b", type=Path, help="the same for another model")
    compare.add_argument("--seed", type=int, default=0, help="of the bootstrap (default 0)")
    compare.add_argument("--json", action="store_true", help="print one JSON object")
    compare.set_defaults(command=_compare)


def _compare(options: argparse.Namespace) -> None:
    from detection.evaluation import compare

    told = compare(
        _read(options.a),
        _read(options.b),
        names=(str(options.a), str(options.b)),
        seed=options.seed,
    ).to_json()
    if options.json:
        print_json(told)
        return
    print(
        f"{told['n_normal']} normal and {told['n_defect']} defective images; a - b, 95 % interval"
    )
    for name in ("image_auroc", "image_ap"):
        print(f"{name:17s} {_difference(told[name])}")
    for name in ("detection_rate", "false_alarm_rate"):
        print(f"{name:17s} {_counts(told[name])}")


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DetectionError(f"{path} is not JSON: write it with evaluate --json.") from error
    if not isinstance(data, dict):
        raise DetectionError(f"{path} is no evaluation: write it with evaluate --json.")
    return data


def _difference(figure: dict[str, Any] | None) -> str:
    if figure is None:
        return "not measurable: one kind of image is missing"
    words = f"{figure['a']:.4f} - {figure['b']:.4f} = {figure['difference']:+.4f}"
    if figure["interval"] is None:
        return f"{words}, the same in every draw"
    low, high = figure["interval"]
    share = 100 * figure["share_a_better"]
    return f"{words} [{low:+.4f}, {high:+.4f}], a better in {share:.1f} % of draws"


def _counts(counts: dict[str, Any]) -> str:
    if not counts["n"]:
        return "not measurable: there are no such images"
    if counts["p_value"] is None:
        return f"no difference seen in {counts['n']} images"
    return (
        f"{counts['a']:.4f} and {counts['b']:.4f}; of {counts['n']} images {counts['only_a']} are "
        f"flagged by a alone, {counts['only_b']} by b (exact McNemar p = {counts['p_value']:.3g})"
    )
