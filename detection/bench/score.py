"""Figure: milliseconds from an image's bytes to score, map and regions, and where they go."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any, Final

from detection.bench.children import Workplace
from detection.bench.pictures import Pictures, encoded
from detection.bench.plan import Plan
from detection.bench.stages import OTHER, stage_times_s
from detection.bench.timing import times_s
from detection.decoding import decode_image
from detection.model import Model, fit_model
from detection.protocol import ImageSource, Progress

_FILES: Final = 4  # scored in turn: one alone would stay in the processor's caches
_CELLS_PER_VECTOR: Final = 2  # candidates for each vector of a bank, where the images give them


def score_figures(
    normals: ImageSource,
    pictures: Pictures,
    plan: Plan,
    workplace: Workplace,
    *,
    threads: int,
    on_progress: Progress | None = None,
) -> dict[str, Any]:
    """A figure for each preset at the peer's sizes, and for the default as it comes.

    Args:
        normals: Fitted on; each reading decodes a file.
        pictures: The last of them is scored, as JPEG and as PNG.
        plan: Sizes and rounds.
        workplace: Holds the caches.
        threads: CPU threads used.
        on_progress: Called during the fits.
    """
    small: dict[str, Any] = {
        "side": plan.score_side,
        "bank_size": plan.score_bank,
        "candidates": max(100_000, _CELLS_PER_VECTOR * plan.score_bank),
    }
    settings: dict[str, dict[str, Any]] = {
        f"fast_{plan.score_side}_px": {"preset": "fast", **small},
        f"default_{plan.score_side}_px": small,
        "default": {},
    }
    figures: dict[str, Any] = {}
    for name, config in settings.items():
        model = fit_model(
            normals,
            ids=[str(number) for number in range(len(normals))],
            config=config,
            threads=threads,
            cache=workplace.cache / "secondlook",
            on_progress=on_progress,
        )
        figures[name] = {
            "working_side_px": model.detector.to_artifact().config["side"],
            "bank_rows": _bank_rows(model),
            "jpeg": _of_format(model, pictures, "JPEG", plan),
            "png": _of_format(model, pictures, "PNG", plan),
        }
    return figures


def _of_format(model: Model, pictures: Pictures, format_name: str, plan: Plan) -> dict[str, Any]:
    count = min(_FILES, len(pictures))
    files = [encoded(pictures[len(pictures) - 1 - number], format_name) for number in range(count)]
    score = _in_turn(model, files)
    seconds = times_s(score, rounds=plan.rounds, warmups=count)
    watched = [stage_times_s(score) for _ in range(plan.rounds)]
    names = sorted({name for stages in watched for name in stages} - {OTHER})
    stages_ms = {
        name: 1000 * statistics.median(stages.get(name, 0.0) for stages in watched)
        for name in names
    }
    median = statistics.median(seconds)
    # What the stages leave of the unwatched time: being watched slows small functions most.
    stages_ms[OTHER] = max(0.0, 1000 * median - sum(stages_ms.values()))
    return {
        "file_kb": len(files[0]) / 1000,
        "ms": 1000 * median,
        "fastest_ms": 1000 * min(seconds),
        "stages_ms": stages_ms,
    }


def _in_turn(model: Model, files: list[bytes]) -> Callable[[], None]:
    at = 0

    def score() -> None:
        nonlocal at
        model.score(decode_image(files[at % len(files)], compiled=True))
        at += 1

    return score


def _bank_rows(model: Model) -> list[int]:
    tensors = model.detector.to_artifact().tensors
    return [len(part["bank"]) for _, part in sorted(tensors.items()) if "bank" in part]
