"""The commands of ``python -m detection``; each parses, calls the core, and prints.

A user's mistake ends in one line on standard error and exit status 2, never in a traceback.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detection.protocol import DetectionError

if TYPE_CHECKING:
    from detection.model import ImageResult, Model
    from detection.protocol import UInt8Array

EXIT_MISTAKE = 2
_PROGRESS_EVERY_S = 0.5


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, 2 for a mistake, 130 when interrupted."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], None] = options.command
    try:
        command(options)
    except (DetectionError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_MISTAKE
    except KeyboardInterrupt:
        print("stopped; nothing was written", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m detection", description=__doc__)
    commands = parser.add_subparsers(required=True)

    fit = commands.add_parser("fit", help="learn what is normal from a folder of images")
    fit.add_argument("folder", type=Path, help="MVTec layout, or a flat folder of normal images")
    fit.add_argument("--out", type=Path, required=True, help="directory of the saved model")
    fit.add_argument("--method", default="patchcore")
    fit.add_argument("--preset", help="best (default) or fast")
    fit.add_argument("--backbone", help="a timm model name")
    fit.add_argument("--weights", help="a weights file for --backbone; else its hub")
    fit.add_argument("--seed", type=int, default=0)
    _add_common(fit)
    fit.set_defaults(command=_fit)

    score = commands.add_parser("score", help="say how odd images are, and where")
    score.add_argument("model", type=Path)
    score.add_argument("images", type=Path, nargs="+", metavar="IMAGE")
    score.add_argument("--heatmap", type=Path, help="PNG file, or folder for several images")
    score.add_argument("--mask", type=Path, help="PNG file, or folder for several images")
    _add_common(score)
    score.set_defaults(command=_score)

    evaluate = commands.add_parser("evaluate", help="measure a model on labelled images")
    evaluate.add_argument("model", type=Path)
    evaluate.add_argument("folder", type=Path, help="MVTec layout with a test folder")
    _add_common(evaluate)
    evaluate.set_defaults(command=_evaluate)
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--threads", type=_positive, default=1, help="CPU threads (default 1)")
    parser.add_argument("--bit-depth", type=int, help="bits in use in 16-bit grey files")


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _fit(options: argparse.Namespace) -> None:
    from detection.model import fit_model, save_model
    from detection.mvtec import read_folder

    config: dict[str, Any] = {}
    if options.preset is not None:
        config["preset"] = options.preset
    if options.weights is not None and options.backbone is None:
        raise DetectionError("--weights needs --backbone.")
    if options.backbone is not None:
        config["backbone"] = {"name": options.backbone, "layers": [], "weights": options.weights}
    normals = read_folder(options.folder, bit_depth=options.bit_depth).normals
    begin = time.perf_counter()
    model = fit_model(
        normals,
        ids=normals.ids,
        method=options.method,
        config=config,
        seed=options.seed,
        threads=options.threads,
        on_progress=_Progress(),
    )
    seconds = time.perf_counter() - begin
    manifest = save_model(model, options.out)
    calibration = model.calibration
    if options.json:
        _print_json(
            {
                "model": str(options.out),
                "sha256": manifest.sha256,
                "n_normal": len(normals),
                "calibration": dict(manifest.calibration),
                "pixel_threshold": model.pixel_threshold,
                "seconds": seconds,
            }
        )
        return
    print(f"{options.out}: learned from {len(normals)} normal images in {seconds:.1f} s")
    print(f"calibration: {len(calibration.scores)} scores, {calibration.kind}")


def _score(options: argparse.Namespace) -> None:
    from detection.decoding import DecodeError, decode_image
    from detection.model import load_model

    several = len(options.images) > 1
    if several:
        _check_unique_names(options)
    model = load_model(options.model, threads=options.threads)
    lines: list[dict[str, Any]] = []
    for path in options.images:
        try:
            image = decode_image(path, bit_depth=options.bit_depth)
        except DecodeError as error:
            raise DetectionError(f"{path}: {error}") from error
        result = model.score(image)
        if options.heatmap is not None:
            _write_png(_place(options.heatmap, path, several), _overlay(image, result, model))
        if options.mask is not None:
            _write_png(_place(options.mask, path, several), _mask(result, model))
        if options.json:
            lines.append({"image": str(path), **_result_json(result)})
        else:
            print(
                f"{path}: score {result.score:.3f}, surprise {result.surprise:.3f}, "
                f"{len(result.regions)} regions"
            )
    if options.json:
        _print_json({"pixel_threshold": model.pixel_threshold, "images": lines})


def _check_unique_names(options: argparse.Namespace) -> None:
    stems = [path.stem for path in options.images]
    if (options.heatmap or options.mask) and len(set(stems)) < len(stems):
        raise DetectionError("Two images share a name; their pictures would overwrite each other.")
    if options.heatmap is not None and options.heatmap == options.mask:
        raise DetectionError("--heatmap and --mask need different folders.")


def _evaluate(options: argparse.Namespace) -> None:
    from detection.evaluation import evaluate
    from detection.model import load_model
    from detection.mvtec import read_folder

    labelled = read_folder(options.folder, bit_depth=options.bit_depth).labelled
    if labelled is None:
        raise DetectionError(f"{options.folder} has no test folder, so nothing to evaluate on.")
    model = load_model(options.model, threads=options.threads)
    report = evaluate(model, labelled, on_progress=_Progress()).to_json()
    if options.json:
        _print_json(report)
        return
    print(f"{report['n_normal']} normal and {report['n_defect']} defective images")
    for key in ("image_auroc", "image_ap", "pixel_auroc", "aupro", "ms_per_image"):
        value = report[key]
        print(f"{key:13s} {'not measurable' if value is None else format(value, '.4f')}")


class _Progress:
    """Says on a terminal's standard error how far a long step is; elsewhere nothing."""

    def __init__(self) -> None:
        self._last = 0.0

    def __call__(self, done: int, total: int, note: str) -> None:
        now = time.monotonic()
        if not sys.stderr.isatty() or (done < total and now - self._last < _PROGRESS_EVERY_S):
            return
        self._last = now
        print(f"\r\033[K{note}: {done} of {total}", end="", file=sys.stderr, flush=True)
        if done == total:
            print(file=sys.stderr)


def _result_json(result: ImageResult) -> dict[str, Any]:
    explanation = result.explanation
    return {
        "score": result.score,
        "surprise": result.surprise,
        "regions": [
            {
                "area_px": region.area_px,
                "box_xyxy": list(region.box_xyxy),
                "peak": region.peak,
                "mean": region.mean,
                "peak_xy": list(region.peak_xy),
            }
            for region in result.regions
        ],
        "explanation": None
        if explanation is None
        else {
            "place_xy": list(explanation.place_xy),
            "distance": explanation.distance,
            "normal_id": explanation.normal_id,
            "normal_place_xy": list(explanation.normal_place_xy),
        },
    }


def _place(out: Path, image: Path, several: bool) -> Path:
    if several or out.is_dir():
        return out / f"{image.stem}.png"
    return out


def _overlay(image: UInt8Array, result: ImageResult, model: Model) -> UInt8Array:
    """The image with red laid over what lies above the pixel threshold, stronger when hotter."""
    import numpy as np

    low, high = model.heat_range
    strength = np.clip((result.map - low) / (high - low), 0.0, 1.0)
    strength = np.where(result.map > low, 0.25 + 0.5 * strength, 0.0)[..., None]
    red = np.array([230.0, 30.0, 30.0])
    return np.asarray(image * (1.0 - strength) + red * strength, dtype=np.uint8)


def _mask(result: ImageResult, model: Model) -> UInt8Array:
    import numpy as np

    return np.asarray((result.map > model.pixel_threshold) * 255, dtype=np.uint8)


def _write_png(path: Path, pixels: UInt8Array) -> None:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, format="PNG")


def _print_json(data: dict[str, Any]) -> None:
    print(json.dumps(data, indent=1, allow_nan=False))
