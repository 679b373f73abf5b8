"""Figure: the nearest peer on the same vectors, images, network and threads, in the same run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from detection.bench.children import Workplace
from detection.bench.pictures import Pictures, encoded
from detection.bench.plan import Plan
from detection.protocol import DetectionError, Float32Array

_PEER = Path(__file__).with_name("peer.py")
_SUFFIXES = {"JPEG": ".jpg", "PNG": ".png"}
_FILES = 4


def peer_figure(
    interpreter: Path,
    vectors: Float32Array,
    pictures: Pictures,
    plan: Plan,
    workplace: Workplace,
    *,
    threads: int,
) -> dict[str, Any]:
    """What anomalib's PatchCore takes; ``{"skipped": why}`` where it cannot be asked.

    Args:
        interpreter: A Python that has anomalib.
        vectors: ``(rows, channels)`` float32, those our coreset was timed on.
        pictures: The last of them are scored.
        plan: Sizes and rounds.
        workplace: Gets the files handed over.
        threads: CPU threads used.
    """
    folder = workplace.folder / "peer"
    folder.mkdir()
    np.save(folder / "vectors.npy", vectors)
    for number in range(min(_FILES, len(pictures))):
        for format_name, suffix in _SUFFIXES.items():
            data = encoded(pictures[len(pictures) - 1 - number], format_name)
            (folder / f"{number}{suffix}").write_bytes(data)
    sizes = {
        "--vectors": folder / "vectors.npy",
        "--picks": plan.peer_picks,
        "--all-picks": plan.coreset_picks,
        "--bank": plan.score_bank,
        "--side": plan.score_side,
        "--rounds": plan.rounds,
        "--threads": threads,
    }
    images = sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES.values())
    options = [str(word) for pair in sizes.items() for word in pair]
    try:
        child = workplace.run([str(interpreter), str(_PEER), *options, *map(str, images)])
    except DetectionError as error:
        return {"skipped": f"anomalib could not be measured: {error}"}
    if not child.output:
        return {"skipped": "anomalib could not be measured: it told nothing"}
    return dict(child.output)


def peer_ratios(peer: dict[str, Any], ours: dict[str, Any]) -> dict[str, float]:
    """How many times longer the peer takes; empty where it was skipped.

    Args:
        peer: From ``peer_figure``.
        ours: The report with our own figures of the same run.
    """
    if "skipped" in peer:
        return {}
    mine = list(ours["coreset"].values())[-1]  # the set whose vectors the peer was given
    fast = ours["score"][f"fast_{peer['score']['side_px']}_px"]
    return {
        "coreset_times": peer["coreset"]["extrapolated_seconds"] / mine["seconds"],
        "jpeg_times": peer["score"]["jpeg_ms"] / fast["jpeg"]["ms"],
        "png_times": peer["score"]["png_ms"] / fast["png"]["ms"],
    }
