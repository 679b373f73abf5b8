"""Figures: seconds and peak memory of a fit, from files to a saved, calibrated model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from detection.bench.children import Workplace
from detection.bench.plan import Plan


def fit_figure(images: Path, workplace: Workplace, *, threads: int) -> dict[str, Any]:
    """One ``fit`` command in a process of its own.

    Args:
        images: Folder of images.
        workplace: Gets the model, in ``model-<threads>``.
        threads: CPU threads it may use.
    """
    model = model_folder(workplace, threads)
    child = workplace.run_ours(
        "detection", "fit", str(images), "--out", str(model), "--threads", str(threads), "--json"
    )
    return {
        "images": child.output["n_normal"],
        "threads": threads,
        "seconds": child.seconds,
        "seconds_without_start": child.output["seconds"],
        "peak_mb": child.peak_mb,
        "model_mb": sum(path.stat().st_size for path in model.iterdir()) / 1e6,
        "calibration": child.output["calibration"]["kind"],
    }


def model_folder(workplace: Workplace, threads: int) -> Path:
    """Where ``fit_figure`` saves its model."""
    return workplace.folder / f"model-{threads}"


def memory_figure(images: int, plan: Plan, workplace: Workplace, *, threads: int) -> dict[str, Any]:
    """Peak memory of a fit on many images that are made when asked for and never kept."""
    child = workplace.run_ours(
        "detection.bench.many_images",
        *(str(number) for number in (images, plan.memory_px, threads)),
        str(workplace.cache / "secondlook"),
        str(workplace.folder / f"model-of-{images}"),
    )
    return {
        "images": images,
        "image_px": plan.memory_px,
        "peak_mb": child.peak_mb,
        "peak_mb_before_the_fit": child.output["peak_mb_before_the_fit"],
        "seconds": child.seconds,
    }
