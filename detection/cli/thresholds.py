"""``python -m detection thresholds``: the cheapest pair of thresholds for a labelled folder."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from detection.cli.terminal import Commands, Progress, add_common, cache_folder, print_json
from detection.protocol import DetectionError

if TYPE_CHECKING:
    from detection.model import Model
    from detection.statistics import Limits, ThresholdChoice

USUAL_PRIOR: Final = 0.005  # one defective part in 200, where nobody says otherwise


def add_to(commands: Commands) -> None:
    """Register the command."""
    thresholds = commands.add_parser(
        "thresholds",
        help="choose review_from and reject_from by cost",
        description="Scores the test images of a folder in MVTec layout and prints the cheapest "
        "pair of thresholds. It is chosen on these images: report it on others.",
    )
    thresholds.add_argument("model", type=Path)
    thresholds.add_argument("folder", type=Path, help="MVTec layout with a test folder")
    prices = thresholds.add_argument_group("prices, in any one currency")
    prices.add_argument("--miss", type=float, required=True, help="of a defect that goes out")
    prices.add_argument("--stop", type=float, required=True, help="of stopping a good part")
    prices.add_argument("--review", type=float, required=True, help="of one look at a part")
    prices.add_argument(
        "--miss-of", action="append", default=[], metavar="TYPE=PRICE",
        help="another price of a miss for one defect type; may be repeated",
    )  # fmt: skip
    process = thresholds.add_argument_group("process")
    process.add_argument(
        "--prior", type=float, default=USUAL_PRIOR, help="share of defective parts (default 0.005)"
    )
    process.add_argument("--se", type=float, default=0.95, help="share of defects reviewers see")
    process.add_argument("--sp", type=float, default=0.98, help="share of good parts they pass")
    process.add_argument(
        "--rejects-reviewed", action="store_true", help="rejected parts are looked at as well"
    )
    process.add_argument(
        "--reject", action=argparse.BooleanOptionalAction, default=None,
        help="may parts be rejected unseen (default: once defects are known)",
    )  # fmt: skip
    limits = thresholds.add_argument_group("limits")
    limits.add_argument("--max-false-alarm", type=float, help="share of good parts flagged")
    limits.add_argument("--min-detection", type=float, help="share of defective parts flagged")
    limits.add_argument("--parts", type=float, help="seen in a window such as a shift")
    limits.add_argument("--minutes", type=float, help="for looking, in that window")
    limits.add_argument("--minutes-per-part", type=float, default=0.5, help="default 0.5")
    limits.add_argument("--audit-minutes", type=float, default=0.0, help="taken up by audits")
    add_common(thresholds)
    thresholds.set_defaults(command=_thresholds)


def _thresholds(options: argparse.Namespace) -> None:
    from detection.model import load_model
    from detection.mvtec import read_folder
    from detection.statistics import (
        DefectTail,
        NormalTail,
        Prices,
        cheapest_decision,
        choose_thresholds,
    )

    prices = Prices(
        options.miss, options.stop, options.review, options.se, options.sp,
        options.rejects_reviewed,
    )  # fmt: skip
    limits = _limits(options)
    costs = _costs_by_type(options.miss_of)
    labelled = read_folder(options.folder, bit_depth=options.bit_depth).labelled
    model = load_model(options.model, threads=options.threads, cache=cache_folder())
    scores = [] if labelled is None else _scores(model, labelled.images)
    types = [] if labelled is None else labelled.defect_types
    normals = [score for score, kind in zip(scores, types, strict=True) if not kind]
    defects = [(score, kind) for score, kind in zip(scores, types, strict=True) if kind]
    if unknown := costs.keys() - {kind for _, kind in defects}:
        raise DetectionError(f"There are no defects of the type {min(unknown)!r}.")
    choice = choose_thresholds(
        DefectTail.of(
            [score for score, _ in defects],
            NormalTail.of([*model.calibration.scores.tolist(), *normals]),
            miss_costs=[costs.get(kind, options.miss) for _, kind in defects] if costs else None,
        ),
        prices,
        prior=options.prior,
        limits=limits,
        may_reject=options.reject,
    )
    first = model.calibration.first_threshold()
    decision = cheapest_decision(prices)
    cautions = list(choice.cautions)
    flagged = sum(score >= first.review_from for score in normals)
    if first.is_contradicted_by(flagged, len(normals)):
        cautions.append(
            f"The first threshold flags {flagged} of {len(normals)} normals here: they are not "
            "like those the model was calibrated on, and rates from both together fit neither."
        )
    report = choice.to_json() | {
        "cautions": cautions,
        "chosen_on": options.folder.resolve().name,
        "n_normal": len(normals),
        "n_defect": len(defects),
        "n_calibration": int(model.calibration.scores.size),
        "prior": options.prior,
        "review_from_probability": decision.review_from,
        "reject_from_probability": decision.reject_from,
        "first_threshold": first.review_from,
        "first_threshold_sentence": first.sentence,
    }
    if options.json:
        print_json(report)
        return
    _print(report, choice)


def _scores(model: Model, images: Any) -> list[float]:
    show = Progress()
    scores: list[float] = []
    for scored in model.detector.score(images):
        scores.append(scored.score)
        show(len(scores), len(images), "scoring")
    return scores


def _limits(options: argparse.Namespace) -> Limits:
    from detection.statistics import Limits, ReviewTime

    if (options.parts is None) != (options.minutes is None):
        raise DetectionError("A limit on review time needs both --parts and --minutes.")
    time = None
    if options.parts is not None:
        time = ReviewTime(
            options.parts, options.minutes, options.minutes_per_part, options.audit_minutes
        )
    return Limits(options.max_false_alarm, options.min_detection, time)


def _costs_by_type(given: Sequence[str]) -> dict[str, float]:
    costs: dict[str, float] = {}
    for text in given:
        kind, _, price = text.rpartition("=")
        try:
            costs[kind] = float(price)
        except ValueError:
            costs[kind] = math.nan
        if not kind or not costs[kind] >= 0:
            raise DetectionError(f"--miss-of {text}: give TYPE=PRICE, such as crack=400.")
    return costs


def _print(report: Mapping[str, Any], choice: ThresholdChoice) -> None:
    print(
        f"{report['chosen_on']}: {report['n_normal']} normal and {report['n_defect']} defective "
        f"images, and {report['n_calibration']} calibration normals of the model"
    )
    reject = "reject none" if choice.reject_from is None else f"reject from {choice.reject_from:g}"
    flags = {"all": "review all", "none": "review none"}
    print(f"{flags.get(report['flags'], f'review from {choice.review_from:g}')}, {reject}")
    print(
        f"expected cost of a part: {choice.cost_per_part:.4g} (all passed "
        f"{choice.cost_pass_all:.4g}, all reviewed {choice.cost_review_all:.4g})"
    )
    plateau = choice.plateau
    print(
        f"about as good: review from {plateau.low:g} to {plateau.high:g}, false alarms "
        f"{_percent(plateau.false_alarm_rate_low)} to {_percent(plateau.false_alarm_rate_high)}"
    )
    found = "unknown"
    if choice.detection is not None:
        found = f"{_percent(choice.detection)}, {choice.found} of {choice.known} known"
    if choice.detection_at_least is not None:
        found += f" (at least {_percent(choice.detection_at_least)})"
    print(f"expected false alarms {_percent(choice.false_alarm_rate)}, detection {found}")
    if choice.price_of_minute is not None:
        print(f"one more minute of review would save {choice.price_of_minute:.4g}")
    if not choice.known:
        print(f"by false alarms alone: review from {report['first_threshold']:g}")
        print(report["first_threshold_sentence"])
    for caution in report["cautions"]:
        print(f"caution: {caution}")


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
