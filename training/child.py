"""The training process: ``python -m training.child FD``, spawned and watched by a worker.

Knows neither Django nor the database: a job comes as one JSON line on stdin, progress and the
end go as JSON lines to the pipe FD. When stdin closes, its worker is gone and it ends at once.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TextIO

from detection.decoding import DecodeError, decode_image
from detection.protocol import DetectionError, UInt8Array

ORPHANED: Final = 3
MIN_SECONDS_BETWEEN_LINES: Final = 0.2
# Limits of light and focus settle long before; more pictures only cost decoding.
HEALTH_IMAGES: Final = 200
STAGES: Final = {
    "reading images": "Reading the normals",
    "choosing the bank": "Choosing what to remember",
    "calibrating": "Calibrating on held-out normals",
}


class StoredImages:
    """Image files as a source: each walk decodes them again, one at a time."""

    def __init__(self, files: Sequence[Mapping[str, Any]]) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, number: int) -> UInt8Array:
        file = self.files[number]
        try:
            return decode_image(Path(file["path"]), bit_depth=file.get("bit_depth"), compiled=True)
        except (DecodeError, OSError) as error:
            raise DetectionError(f"Image {file['id']} cannot be read: {error}") from error

    def __iter__(self) -> Iterator[UInt8Array]:
        for number in range(len(self)):
            yield self[number]


class Reporter:
    """Writes JSON lines to the worker, not more often than somebody could read."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self._stage = ""
        self._last = 0.0

    def send(self, **line: Any) -> None:
        """Write one line now."""
        self.stream.write(json.dumps(line) + "\n")
        self.stream.flush()

    def stage(self, name: str) -> Callable[[int, int, str], None]:
        """Return a progress function of one stage; its notes may name stages of their own."""

        def report(done: int, total: int, note: str) -> None:
            shown = STAGES.get(note, name)
            now = time.monotonic()
            is_news = shown != self._stage or done >= total
            if is_news or now - self._last >= MIN_SECONDS_BETWEEN_LINES:
                self._stage, self._last = shown, now
                self.send(stage=shown, done=done, total=total)

        return report


class _Counted:
    """A source that reports how far its walks are; ``walks`` is how many are usual."""

    def __init__(
        self, images: StoredImages, report: Callable[[int, int, str], None], *, walks: int
    ) -> None:
        self.images = images
        self.report = report
        self.total = walks * len(images)
        self.done = 0

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[UInt8Array]:
        for image in self.images:
            yield image
            self.done += 1
            self.report(min(self.done, self.total), self.total, "")


def run(job: Mapping[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Fit, evaluate and save what the job asks for; returns the facts the worker registers."""
    begin = time.monotonic()
    for file in [*job["normals"], *job["golden"]]:
        if not Path(file["path"]).is_file():  # said now, not after minutes of fitting
            raise DetectionError(f"The stored file of image {file['id']} is missing.")
    reporter.send(stage="Starting the engines", done=0, total=0)
    from detection.artifact import save_model
    from detection.model import fit_model

    normals = job["normals"]
    images = StoredImages(normals)
    groups = [file["group"] for file in normals]
    model = fit_model(
        images,
        ids=[file["id"] for file in normals],
        groups=groups,
        may_calibrate=[file["may_calibrate"] for file in normals],
        method=job["method"],
        config=job["config"],
        seed=job["seed"],
        region_of_interest=job["region_of_interest"],
        threads=job["threads"],
        cache=Path(job["cache"]),
        on_progress=reporter.stage("Learning"),
    )
    health = _health(images, watch_place=job["watch_place"], reporter=reporter)
    threshold = model.calibration.first_threshold()
    evaluation = _evaluation(model, job["golden"], threshold.review_from, reporter)
    reporter.send(stage="Saving", done=0, total=0)
    figures = {name: value for name, value in (evaluation or {}).items() if _is_figure(value)}
    save_model(model.with_metrics(figures), Path(job["out"]))
    return {
        "fit_seconds": time.monotonic() - begin,
        "metrics": {
            "normals": len(normals),
            "groups": len(set(groups)),
            "calibration": model.calibration.to_json(),
            "health_reference": health,
            "evaluation": evaluation,
        },
    }


def _health(images: StoredImages, *, watch_place: bool, reporter: Reporter) -> dict[str, Any]:
    from detection.health import HealthReference

    step = -(-len(images) // HEALTH_IMAGES)
    some = StoredImages(images.files[::step])
    walks = 3 if watch_place else 1
    counted = _Counted(some, reporter.stage("Measuring light, focus and place"), walks=walks)
    return HealthReference.fit(counted, watch_place=watch_place).to_json()


def _evaluation(
    model: Any, golden: Sequence[Mapping[str, Any]], threshold: float, reporter: Reporter
) -> dict[str, Any] | None:
    if not golden:
        return None
    from detection.evaluation import LabelledSource, evaluate
    from detection.mvtec import MaskFiles

    labelled = LabelledSource(
        StoredImages(golden),
        [file["is_defect"] for file in golden],
        ids=[file["id"] for file in golden],
        defect_types=[file["defect_type"] for file in golden],
        masks=MaskFiles([Path(file["mask"]) if file["mask"] else None for file in golden]),
    )
    report = reporter.stage("Testing on the golden set")
    return evaluate(model, labelled, threshold=threshold, on_progress=report).to_json()


def _is_figure(value: object) -> bool:
    return value is None or isinstance(value, int | float)


def _end_with_parent() -> None:
    """End this process as soon as the worker that holds the other end of stdin is gone."""
    sys.stdin.buffer.read()
    os._exit(ORPHANED)


def main(fd: int) -> int:
    """Do one job. Mistakes in the data end as words; anything else as a traceback on stderr."""
    job = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with os.fdopen(fd, "w", encoding="utf-8") as stream:
        reporter = Reporter(stream)
        try:
            result = run(job, reporter)
        except DetectionError as error:
            reporter.send(error=str(error))
            return 1
        except MemoryError:
            reporter.send(error="The machine ran out of memory.")
            return 1
        reporter.send(result=result)
    return 0


if __name__ == "__main__":
    # os._exit: engines keep threads that would delay or crash an orderly end; all is on disk.
    status = main(int(sys.argv[1]))
    sys.stderr.flush()
    os._exit(status)
