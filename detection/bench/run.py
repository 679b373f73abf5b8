"""One run of the bench: every figure, one after the other, and the machine they belong to."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from detection.bench.children import Workplace
from detection.bench.cold_start import cold_start_figure
from detection.bench.coreset import coreset_figure
from detection.bench.fit import fit_figure, memory_figure, model_folder
from detection.bench.limits import Limits, measure_limits
from detection.bench.peers import peer_figure, peer_ratios
from detection.bench.pictures import Pictures, encoded, write_pngs
from detection.bench.plan import FULL, Plan
from detection.bench.score import score_figures
from detection.bench.search import search_figure
from detection.bench.timing import numeric_threads
from detection.bench.vectors import RECIPES, VectorSet, drawn_set, real_sets
from detection.model import package_versions
from detection.mvtec import read_folder
from detection.protocol import Float32Array, Progress

FIT_THREADS = (1, 2)
_REAL_SETS = 2
_FEW_IMAGES = 5


def run_bench(
    plan: Plan,
    *,
    environment: Mapping[str, str],
    directory: Path | None = None,
    peer: Path | None = None,
    threads: int = 1,
    on_progress: Progress | None = None,
) -> dict[str, Any]:
    """Every figure with units in its name, and the machine's limits in the same run.

    Args:
        plan: How large.
        environment: Variables handed on to the processes started.
        directory: Whose normal images are used beside drawn vectors; None for sample parts.
        peer: A Python that has anomalib; None to leave the peer out.
        threads: CPU threads of everything but the fit, which is timed on one and on two.
        on_progress: Called at each step with (done, total, note).

    Raises:
        DetectionError: The directory holds no images, or a process failed.
    """
    sets_count = len(RECIPES) + (_REAL_SETS if directory is not None else 0)
    steps = _Steps(on_progress, total=7 + len(FIT_THREADS) + sets_count)
    with tempfile.TemporaryDirectory() as folder, numeric_threads(threads):
        workplace = Workplace(Path(folder), environment)
        workplace.cache.mkdir()
        steps.begin("limits of the machine")
        limits = measure_limits(plan, threads=threads)
        report: dict[str, Any] = {
            "plan": asdict(plan)
            | {"is_full_size": plan.coreset_rows == FULL.coreset_rows, "threads": threads},
            "machine": _machine(),
            "limits": limits.to_json(),
            "coreset": {},
            "search": {},
        }
        sets = _vector_sets(plan, directory, workplace.cache / "secondlook")
        vectors = _measure_vectors(report, sets, plan, limits, steps)
        steps.begin("images")
        # One more than is fitted on: the last is scored.
        pictures = Pictures(plan.fit_images + 1, plan.image_px, directory=directory)
        images = workplace.folder / "images"
        write_pngs(pictures, images)
        last = max(images.iterdir())
        scored = last.rename(workplace.folder / last.name)
        report["images"] = {
            "source": pictures.source,
            "side_px": plan.image_px,
            "format": "PNG",
            "mean_kb": sum(path.stat().st_size for path in images.iterdir())
            / (1000 * plan.fit_images),
        }
        # The first fit converts the network; the caches it leaves are those of every later one.
        steps.begin("first fit")
        few = workplace.folder / "few-images"
        write_pngs(Pictures(_FEW_IMAGES, plan.image_px, directory=directory), few)
        report["fit"] = {"first_ever": fit_figure(few, workplace, threads=1)}
        for number in FIT_THREADS:
            steps.begin(f"fit, {number} threads")
            report["fit"][f"threads_{number}"] = fit_figure(images, workplace, threads=number)
        steps.begin("cold start")
        jpeg = scored.with_suffix(".jpg")
        jpeg.write_bytes(encoded(pictures[len(pictures) - 1], "JPEG"))
        report["cold_start"] = cold_start_figure(
            model_folder(workplace, FIT_THREADS[0]), jpeg, plan, workplace
        )
        steps.begin("score")
        normals = read_folder(images).normals
        report["score"] = score_figures(normals, pictures, plan, workplace, threads=threads)
        steps.begin("memory of large fits")
        report["memory"] = {
            f"images_{images_count}": memory_figure(images_count, plan, workplace, threads=threads)
            for images_count in plan.memory_images
        }
        steps.begin("peers")
        report["peers"] = {"skipped": "no --peers interpreter was named"}
        if peer is not None:
            report["peers"] = peer_figure(peer, vectors, pictures, plan, workplace, threads=threads)
        report["peer_ratios"] = peer_ratios(report["peers"], report)
    return report


def _measure_vectors(
    report: dict[str, Any], sets: Iterable[VectorSet], plan: Plan, limits: Limits, steps: _Steps
) -> Float32Array:
    """Fill in coreset and search; the normals of the last set, for the peer."""
    normals = np.empty((0, plan.width), np.float32)
    for vectors in sets:
        steps.begin(f"coreset and search, {vectors.name}")
        normals = vectors.normals
        figure, chosen = coreset_figure(vectors, plan, limits)
        report["coreset"][vectors.name] = figure
        bank = normals[chosen.picks[: plan.search_rows]]
        report["search"][vectors.name] = search_figure(bank, vectors.queries, plan, limits)
    return normals


def _vector_sets(plan: Plan, directory: Path | None, cache: Path) -> Iterator[VectorSet]:
    """One after the other: each is 100 MB."""
    for name in RECIPES:
        yield drawn_set(name, plan)
    if directory is not None:
        yield from real_sets(directory, plan, cache=cache)


class _Steps:
    """Counts the steps for whoever watches."""

    def __init__(self, on_progress: Progress | None, *, total: int) -> None:
        self._on_progress = on_progress
        self._total = total
        self._done = 0

    def begin(self, note: str) -> None:
        self._done += 1
        if self._on_progress is not None:
            self._on_progress(self._done, self._total, note)


def _machine() -> dict[str, Any]:
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = info.read_text(encoding="utf-8", errors="replace").splitlines()
        cpu = next((line.partition(":")[2].strip() for line in lines if "model name" in line), cpu)
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "packages": package_versions(),
    }
