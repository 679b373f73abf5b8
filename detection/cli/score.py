"""``python -m detection score``: say how odd images are, and draw where."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detection.cli.terminal import Commands, UsageError, add_common, cache_folder, print_json
from detection.protocol import DetectionError

if TYPE_CHECKING:
    from detection.model import ImageResult, Model
    from detection.protocol import UInt8Array

# From here on the faster decoding, 10 ms a PNG, has paid for loading numba, 0.4 s.
_MANY_IMAGES = 40


def add_to(commands: Commands) -> None:
    """Register the command."""
    score = commands.add_parser("score", help="say how odd images are, and where")
    score.add_argument("model", type=Path)
    score.add_argument("images", type=Path, nargs="+", metavar="IMAGE")
    score.add_argument("--heatmap", type=Path, help="PNG file, or folder for several images")
    score.add_argument("--mask", type=Path, help="PNG file, or folder for several images")
    add_common(score)
    score.set_defaults(command=_score)


def _score(options: argparse.Namespace) -> None:
    from detection.decoding import decode_image
    from detection.model import load_model

    several = len(options.images) > 1
    if several:
        _check_unique_names(options)
    model = load_model(options.model, threads=options.threads, cache=cache_folder())
    compiled = len(options.images) >= _MANY_IMAGES
    lines: list[dict[str, Any]] = []
    for path in options.images:
        try:
            image = decode_image(path, bit_depth=options.bit_depth, compiled=compiled)
            result = model.score(image)
        except DetectionError as error:
            raise DetectionError(f"{path}: {error}") from error
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
        print_json({"pixel_threshold": model.pixel_threshold, "images": lines})


def _check_unique_names(options: argparse.Namespace) -> None:
    stems = [path.stem for path in options.images]
    if (options.heatmap or options.mask) and len(set(stems)) < len(stems):
        raise UsageError("Two images share a name; their pictures would overwrite each other.")
    if options.heatmap is not None and options.heatmap == options.mask:
        raise UsageError("--heatmap and --mask need different folders.")


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
