"""How accurate the one default is on labelled sets: several seeds, or a few normals many times.

``python -m tests.measure.accuracy --data FOLDER --sets a,b --seeds 0,1,2``: sets in MVTec layout.
``--few 5 --draws 20`` fits on five random normals, twenty times; ``--half`` keeps a half of the
test images to choose settings on. The network sees each test image once, for all models.
"""

import argparse
import hashlib
import json
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np

from detection.backbones import Engine
from detection.evaluation import Evaluator, LabelledSource, append_run, file_list_digest, run_line
from detection.features import image_digest
from detection.model import CALIBRATIONS, Model, fit_model
from detection.mvtec import ImageFiles, read_folder
from detection.patchcore import PatchCore
from detection.protocol import BoolArray, DetectionError, Float32Array, UInt8Array
from detection.sources import Subset
from tests.measure.report import note

FIGURES: Final = ("image_auroc", "image_ap", "pixel_auroc", "aupro", "aupro_05", "pixel_iou_best")
HALVES: Final = ("choose", "report")
_KEPT: Final = 64  # the tiles of one large image, and no more


class RememberingEngine:
    """An engine that computes the images seen last only once, for several models in turn."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.name = engine.name
        self.multiple = engine.multiple
        self.widths = engine.widths
        self.asked = 0
        self._kept: dict[tuple[tuple[int, ...], bytes], list[Float32Array]] = {}

    def __call__(self, image: UInt8Array) -> list[Float32Array]:
        """As the engine's own; the arrays belong to the caller."""
        key = (image.shape, image_digest(image))
        if key not in self._kept:
            self.asked += 1
            if len(self._kept) >= _KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = self.engine(image)
        return [layer.copy() for layer in self._kept[key]]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model of the study and what it was fitted on."""

    name: str
    seed: int
    model: Model
    fit_s: float


class _Chosen(Sequence[BoolArray | None]):
    """Some masks of a sequence, read when asked for."""

    def __init__(self, masks: Sequence[BoolArray | None], numbers: Sequence[int]) -> None:
        self.masks = masks
        self.numbers = numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: Any) -> Any:
        return self.masks[self.numbers[index]]


def half_of(labelled: LabelledSource, half: str | None) -> LabelledSource:
    """The half of a set that is for choosing or for reporting; all of it for None.

    Which half an image is in follows from its name alone, so neither moves when images are added.
    """
    if half is None:
        return labelled
    numbers = [k for k, name in enumerate(labelled.ids) if half_named(name) == half]
    return LabelledSource(
        Subset(labelled.images, np.array(numbers, np.int64)),
        [labelled.labels[k] for k in numbers],
        ids=[labelled.ids[k] for k in numbers],
        defect_types=[labelled.defect_types[k] for k in numbers],
        masks=None if labelled.masks is None else _Chosen(labelled.masks, numbers),
    )


def half_named(name: str) -> str:
    """The half that an image of this name belongs to."""
    return HALVES[hashlib.sha256(PurePosixPath(name).name.encode()).digest()[0] % 2]


def fits(
    normals: ImageFiles,
    *,
    config: Mapping[str, Any],
    calibrate: str,
    seeds: Sequence[int],
    few: int | None,
    draws: int,
) -> Iterator[Fitted]:
    """A model for each seed on all normals, or for each draw on a few of them."""
    if few is None:
        for seed in seeds:
            begin = time.perf_counter()
            model = fit_model(
                normals, ids=normals.ids, config=config, calibrate=calibrate, seed=seed
            )
            yield Fitted(f"seed {seed}", seed, model, time.perf_counter() - begin)
        return
    if few > len(normals):
        raise DetectionError(f"There are {len(normals)} normals, fewer than the {few} to draw.")
    for draw in range(draws):
        rng = np.random.default_rng([seeds[0], draw])
        numbers = np.sort(rng.choice(len(normals), few, replace=False))
        ids = [normals.ids[k] for k in numbers]
        some = Subset(normals, numbers)
        seed = seeds[0] + draw
        begin = time.perf_counter()
        model = fit_model(some, ids=ids, config=config, calibrate=calibrate, seed=seed)
        yield Fitted(f"draw {draw}", seed, model, time.perf_counter() - begin)


def measure(
    folder: Path,
    *,
    config: Mapping[str, Any],
    calibrate: str,
    seeds: Sequence[int],
    few: int | None,
    draws: int,
    half: str | None,
    log: Path | None,
) -> list[dict[str, Any]]:
    """Fit and evaluate on one set; one evaluation as JSON for each model, the first one timed.

    Raises:
        DetectionError: The folder holds no such set.
    """
    found = read_folder(folder)
    if found.labelled is None:
        raise DetectionError(f"{folder} has no test images.")
    labelled = half_of(found.labelled, half)
    fitted: list[Fitted] = []
    shared: RememberingEngine | None = None
    for one in fits(
        found.normals, config=config, calibrate=calibrate, seeds=seeds, few=few, draws=draws
    ):
        note(f"{folder.name}: {one.name} fitted in {one.fit_s:.1f} s")
        detector = one.model.detector
        if isinstance(detector, PatchCore):
            shared = shared or RememberingEngine(detector.reader_.engine)
            detector.reader_.engine = shared
        fitted.append(one)
    evaluators = [Evaluator(one.model) for one in fitted]
    for item in labelled:
        for evaluator in evaluators:
            evaluator.add(item)
    digest = file_list_digest((name, (folder / name).stat().st_size) for name in labelled.ids)
    reports = []
    for number, (one, evaluator) in enumerate(zip(fitted, evaluators, strict=True)):
        report = evaluator.result().to_json()
        if number and shared is not None:  # the first one alone waited for the network
            report |= {"ms_per_image": None, "p95_ms": None}
        state = one.model.detector.to_artifact()
        line = run_line(
            report,
            folder=folder.name,
            set_digest=digest,
            method=one.model.method,
            config=state.config,
            seed=one.seed,
            model_sha256=None,
        )
        runs = None if log is None else append_run(log, line)
        reports.append(
            {"run": one.name, "fit_s": one.fit_s, "runs_logged_on_this_set": runs, **report}
        )
    return reports


def summary_of(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean and worst of each figure over the runs of a set, and the time of the first."""
    figures: dict[str, Any] = {}
    for name in FIGURES:
        values = [report[name] for report in reports if report[name] is not None]
        figures[name] = (
            {"mean": math.fsum(values) / len(values), "worst": min(values)} if values else None
        )
    return {
        "runs": len(reports),
        "n_normal": reports[0]["n_normal"],
        "n_defect": reports[0]["n_defect"],
        **figures,
        "ms_per_image": reports[0]["ms_per_image"],
        "runs_logged_on_this_set": reports[-1]["runs_logged_on_this_set"],
    }


def table_of(summaries: Mapping[str, Mapping[str, Any]]) -> str:
    """A Markdown table, one row a set: mean (worst) of each figure."""
    shown = ("image_auroc", "pixel_auroc", "aupro", "pixel_iou_best")
    lines = [
        f"| set | runs | {' | '.join(name.replace('_', ' ') for name in shown)} | ms |",
        f"| --- | --- | {' | '.join('---' for _ in shown)} | --- |",
    ]
    for name, summary in summaries.items():
        cells = [
            "-" if (one := summary[figure]) is None else f"{one['mean']:.4f} ({one['worst']:.4f})"
            for figure in shown
        ]
        lines.append(
            f"| {name} | {summary['runs']} | {' | '.join(cells)} | {summary['ms_per_image']:.1f} |"
        )
    return "\n".join(lines)


def _without_details(report: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in report.items() if k not in ("roc", "precision_recall", "scores")}


def _config(text: str) -> dict[str, Any]:
    """A JSON object, given as such or as the name of a file."""
    try:
        data = json.loads(text if text.lstrip().startswith("{") else Path(text).read_text())
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"neither JSON nor a JSON file: {error}") from error
    if not isinstance(data, dict):
        raise argparse.ArgumentTypeError("must be a JSON object")
    return data


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 2 where a set is missing."""
    parser = argparse.ArgumentParser(prog="python -m tests.measure.accuracy", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the sets")
    parser.add_argument("--sets", type=lambda text: text.split(","), required=True)
    parser.add_argument(
        "--seeds", type=lambda text: [int(one) for one in text.split(",")], default=[0, 1, 2]
    )
    parser.add_argument("--calibrate", choices=CALIBRATIONS, default=CALIBRATIONS[0])
    parser.add_argument("--config", type=_config, default={}, help="JSON or a JSON file")
    parser.add_argument("--few", type=int, help="fit on so many random normals")
    parser.add_argument("--draws", type=int, default=20, help="how often, with --few")
    parser.add_argument("--half", choices=HALVES, help="of the test images, by their names")
    parser.add_argument("--log", type=Path, help="evaluation log that every model leaves a line in")
    parser.add_argument("--out", type=Path, help="JSON of all runs, without curves and scores")
    parser.add_argument("--evaluations", type=Path, help="folder for each run's own JSON")
    options = parser.parse_args(arguments)
    missing = [name for name in options.sets if not (options.data / name / "test").is_dir()]
    if missing:
        note(f"error: {options.data} holds no set {', '.join(missing)} (with a test folder).")
        return 2
    summaries, runs = {}, {}
    for name in options.sets:
        try:
            reports = measure(
                options.data / name,
                config=options.config,
                calibrate=options.calibrate,
                seeds=options.seeds,
                few=options.few,
                draws=options.draws,
                half=options.half,
                log=options.log,
            )
        except DetectionError as error:
            note(f"error: {name}: {error}")
            return 2
        summaries[name] = summary_of(reports)
        runs[name] = [_without_details(report) for report in reports]
        if options.evaluations is not None:
            options.evaluations.mkdir(parents=True, exist_ok=True)
            for report in reports:
                path = options.evaluations / f"{name}-{report['run'].replace(' ', '-')}.json"
                path.write_text(json.dumps(report, allow_nan=False))
    if options.out is not None:
        study = {
            "config": options.config, "calibrate": options.calibrate,
            "seeds": options.seeds, "few": options.few,
            "draws": options.draws if options.few else None, "half": options.half,
            "summary": summaries, "runs": runs,
        }  # fmt: skip
        options.out.write_text(json.dumps(study, indent=1, allow_nan=False) + "\n")
    print(table_of(summaries))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
