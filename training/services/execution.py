"""Carrying out a run: a spawned child does the work, this process watches it.

The child (``training.child``) has no database. It reports over a pipe; here its progress renews
the lease, and cancel, time, memory and silence end it. Nothing is registered before it is done.
"""

import contextlib
import json
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from detection.protocol import DetectionError
from inspection.blobs import blob_store
from inspection.errors import DomainError
from inspection.models import Image, ModelVersion, View
from inspection.services import beats
from inspection.services.events import event_record
from inspection.services.queues import stop_requested
from inspection.services.registry import network_cache
from training.models import GoldenEntry, PoolEntry, Run, SnapshotEntry
from training.services.runs import (
    LEASE_S,
    run_claim,
    run_end,
    run_give_back,
    run_log,
    run_update,
)

TIME_LIMIT_S = 3600.0
MEMORY_LIMIT_SHARE = 0.8  # of the machine's memory: beyond, everything else would suffer
SILENT_LIMIT_S = 180.0  # neither a line nor CPU time: it hangs
CHECK_EVERY_S = 0.5
BEAT_EVERY_S = 5.0
CHILD = "training.child"
KEEP_ERROR_LINES = 20


class StoppedError(Exception):
    """The watchdog ended the child. ``state`` is how the run ends, empty: try again."""

    def __init__(self, state: str, reason: str) -> None:
        super().__init__(reason)
        self.state = state
        self.reason = reason


@dataclass(slots=True)
class Limits:
    """What a run may use."""

    seconds: float = TIME_LIMIT_S
    memory_mb: float = field(default_factory=lambda: MEMORY_LIMIT_SHARE * machine_memory_mb())
    silent_seconds: float = SILENT_LIMIT_S


def run_execute(
    run_id: int | None = None, *, waited_s: float = 0, limits: Limits | None = None
) -> Run | None:
    """Carry out a waiting run (this one, or the oldest); returns it after, ``None`` if none waits.

    Blocks for as long as the training takes. Called by workers only.
    """
    run = run_claim(run_id=run_id, waited_s=waited_s)
    if run is None:
        return None
    folder = _work_folder(run)
    watch = _Watch(run, limits or Limits())
    try:
        result = watch.carry_out(_job(run, out=folder / "model"))
        _register(run, folder / "model", result, watch)
    except StoppedError as stopped:
        run_log(run, stopped.reason)
        run_update(run, peak_memory_mb=watch.peak_memory_mb, stage_seconds=watch.stage_seconds)
        if stopped.state:
            run_end(run, stopped.state, stopped.reason)
        else:
            run_give_back(run, stopped.reason, counts=not stop_requested.is_set())
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Run.objects.get(pk=run.pk)


def _work_folder(run: Run) -> Path:
    """Return a fresh folder; what a killed worker left of this very run is swept away."""
    root = Path(settings.CACHE_DIR) / "runs"
    root.mkdir(parents=True, exist_ok=True)
    for left in root.glob(f"run-{run.pk}-*"):
        shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"run-{run.pk}-", dir=root))


def _job(run: Run, *, out: Path) -> dict[str, Any]:
    """Return all that the child must know."""
    view = run.view
    store = blob_store()
    entries = SnapshotEntry.objects.filter(snapshot=run.snapshot_id).select_related(
        "image__station", "image__view__station"
    )
    golden = GoldenEntry.objects.filter(view=view).select_related(
        "image__station", "image__view__station", "defect_type"
    )
    box = view.region_of_interest
    return {
        "normals": [
            {
                "id": str(entry.image_id),
                "path": str(store.local_path(entry.image.derived_id or entry.sha256)),
                "group": entry.group,
                "may_calibrate": entry.may_calibrate,
                "bit_depth": _bit_depth(entry.image),
            }
            for entry in entries
        ],
        "golden": [
            {
                "id": str(entry.image_id),
                "path": str(store.local_path(entry.image.derived_id or entry.image.blob_id)),
                "is_defect": entry.is_defect,
                "defect_type": _type_name(entry),
                "mask": str(store.local_path(entry.mask_id)) if entry.mask_id else None,
                "bit_depth": _bit_depth(entry.image),
            }
            for entry in golden.order_by("image_id")
        ],
        "method": run.method,
        "config": run.config,
        "seed": run.seed,
        "region_of_interest": _corners(box) if box else None,
        "watch_place": not view.any_angle,
        "threads": settings.TRAINING_THREADS,
        "cache": str(network_cache()),
        "out": str(out),
    }


def _type_name(entry: GoldenEntry) -> str:
    if not entry.is_defect:
        return ""
    return entry.defect_type.name if entry.defect_type else "defect"


def _bit_depth(image: Image) -> int | None:
    station = image.station or image.view.station
    return station.bit_depth if station is not None else None


def _corners(box: list[float]) -> list[tuple[float, float]]:
    x0, y0, x1, y1 = box
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


class _Watch:
    """One child and its limits."""

    def __init__(self, run: Run, limits: Limits) -> None:
        self.run = run
        self.limits = limits
        self.peak_memory_mb = 0.0
        self.stage_seconds: dict[str, float] = {}
        self._stage = ""
        self._stage_since = time.monotonic()
        self._cpu_s = 0.0
        self._sign_of_life = time.monotonic()
        self._result: dict[str, Any] | None = None
        self._error = ""
        self._beat_at = 0.0

    def carry_out(self, job: dict[str, Any]) -> dict[str, Any]:
        """Return what the child made.

        Raises:
            StoppedError: It failed, was ended, or died.
        """
        run_log(self.run, f"{len(job['normals'])} normals, {len(job['golden'])} golden images.")
        self._report(total=len(job["normals"]), note="Starting")
        read_fd, write_fd = os.pipe()
        with tempfile.TemporaryFile() as errors:
            child = subprocess.Popen(  # noqa: S603  our own interpreter and module
                [sys.executable, "-m", CHILD, str(write_fd)],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors,
                pass_fds=[write_fd], cwd=settings.BASE_DIR, start_new_session=True,
            )  # fmt: skip
            os.close(write_fd)
            try:
                _send(child, job)
                with os.fdopen(read_fd, "rb", buffering=0) as pipe:
                    self._listen(child, pipe)
                status = child.wait()
                errors.seek(0)
                said = errors.read().decode(errors="replace").splitlines()[-KEEP_ERROR_LINES:]
            finally:
                self._end(child)
        self._stage_ends("")
        if self._result is not None and status == 0:
            return self._result
        raise self._why_none(status, said)

    def _why_none(self, status: int, said: list[str]) -> StoppedError:
        """Return why there is no result."""
        for line in said:
            run_log(self.run, line)
        if self._error:
            return StoppedError(Run.State.FAILED, self._error)
        if status < 0:
            return StoppedError("", f"The training process was killed (signal {-status}).")
        last = said[-1] if said else f"exit status {status}"
        return StoppedError(Run.State.FAILED, f"The training process failed: {last}")

    def _end(self, child: "subprocess.Popen[bytes]") -> None:
        if child.poll() is None:
            child.kill()
            child.wait()
        if child.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                child.stdin.close()

    def _listen(self, child: "subprocess.Popen[bytes]", pipe: Any) -> None:
        """Read lines until the child closes its end, looking after its limits meanwhile."""
        begin = time.monotonic()
        self._sign_of_life = begin
        rest = b""
        checked = 0.0
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while True:
                if selector.select(timeout=CHECK_EVERY_S):
                    block = pipe.read(1 << 16)
                    if not block:
                        return
                    *lines, rest = (rest + block).split(b"\n")
                    self._hear(lines)
                now = time.monotonic()
                if now - checked >= CHECK_EVERY_S:
                    checked = now
                    self._check(child, now - begin)

    def _hear(self, lines: list[bytes]) -> None:
        latest: dict[str, Any] | None = None
        for line in lines:
            said = json.loads(line)
            if "result" in said:
                self._result = said["result"]
            elif "error" in said:
                self._error = said["error"]
            else:
                latest = said
                if said["stage"] != self._stage:
                    self._stage_ends(said["stage"])
                    run_log(self.run, said["stage"])
        self._sign_of_life = time.monotonic()
        if latest is not None:
            self._report(done=latest["done"], total=latest["total"], note=latest["stage"])

    def _stage_ends(self, following: str) -> None:
        now = time.monotonic()
        if self._stage:
            spent = self.stage_seconds.get(self._stage, 0.0) + now - self._stage_since
            self.stage_seconds[self._stage] = round(spent, 2)
        self._stage, self._stage_since = following, now

    def _report(self, *, done: int = 0, total: int = 0, note: str) -> None:
        """Write progress and renew the lease with it; a lost lease ends the child."""
        if not run_update(
            self.run, done_steps=done, total_steps=total, note=note[:300],
            stage_seconds=self.stage_seconds, peak_memory_mb=self.peak_memory_mb or None,
            lease_until=timezone.now() + timedelta(seconds=LEASE_S),
        ):  # fmt: skip
            raise StoppedError(Run.State.FAILED, "Another worker took this run over.")

    def _check(self, child: "subprocess.Popen[bytes]", seconds: float) -> None:
        """End the child when it is cancelled, too slow, too large, or silent."""
        memory_mb, cpu_s = process_use(child.pid)
        self.peak_memory_mb = max(self.peak_memory_mb, memory_mb)
        if cpu_s > self._cpu_s + 0.5:
            # Long steps without a line of their own still count as life while they compute.
            self._cpu_s = cpu_s
            self._sign_of_life = time.monotonic()
            lease = timezone.now() + timedelta(seconds=LEASE_S)
            run_update(self.run, lease_until=lease, peak_memory_mb=self.peak_memory_mb)
        if time.monotonic() >= self._beat_at:
            self._beat_at = time.monotonic() + BEAT_EVERY_S
            beats.beat(beats.process_name("training"), "training", f"run {self.run.pk}")
        asked = Run.objects.filter(pk=self.run.pk).values_list("cancel_requested_at", "reason")
        cancelled_at, who = asked.get()
        if cancelled_at is not None:
            raise StoppedError(Run.State.CANCELLED, who or "cancelled")
        if stop_requested.is_set():
            raise StoppedError("", "The worker was asked to end; the run starts again.")
        if seconds > self.limits.seconds:
            raise StoppedError(
                Run.State.FAILED,
                f"Stopped after {seconds:.0f} s: the limit is {self.limits.seconds:.0f} s. "
                "Use fewer images or a smaller bank.",
            )
        if memory_mb > self.limits.memory_mb:
            raise StoppedError(
                Run.State.FAILED,
                f"Stopped at {memory_mb:,.0f} MB of memory: the limit is "
                f"{self.limits.memory_mb:,.0f} MB. Use fewer images or a smaller bank.",
            )
        if time.monotonic() - self._sign_of_life > self.limits.silent_seconds:
            raise StoppedError("", f"No sign of life for {self.limits.silent_seconds:.0f} s.")


def _send(child: "subprocess.Popen[bytes]", job: dict[str, Any]) -> None:
    if child.stdin is not None:
        with contextlib.suppress(BrokenPipeError):  # it died at once: its status says so
            child.stdin.write(json.dumps(job).encode() + b"\n")
            child.stdin.flush()


def process_use(pid: int) -> tuple[float, float]:
    """Return resident memory in MB and CPU seconds of a process; zeros once it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0, 0.0
    resident = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    memory_mb = int(resident[0].split()[1]) / 1024 if resident else 0.0
    ticks = os.sysconf("SC_CLK_TCK")
    return memory_mb, (int(fields[11]) + int(fields[12])) / ticks


def machine_memory_mb() -> float:
    """Return the machine's memory, or what its container may use, whichever is less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**2
    with contextlib.suppress(OSError, ValueError):
        total = min(total, int(Path("/sys/fs/cgroup/memory.max").read_text()) / 1024**2)
    return total


def _register(run: Run, directory: Path, result: dict[str, Any], watch: _Watch) -> None:
    """Turn the child's files into a candidate, all in one transaction under our lease.

    Raises:
        StoppedError: The lease was lost, or somebody cancelled at the last moment.
    """
    from inspection.services.registry import version_register

    try:
        with transaction.atomic():
            if Run.objects.get(pk=run.pk).cancel_requested_at is not None:
                raise StoppedError(Run.State.CANCELLED, "cancelled")
            view = View.objects.get(pk=run.view_id)
            version = version_register(
                view=view, directory=directory, metrics=result["metrics"],
                fit_seconds=result["fit_seconds"],
            )  # fmt: skip
            twin = Run.objects.filter(model_version=version).first()
            words = f"Came out bit for bit as {version} of run {twin.pk}." if twin else ""
            run_log(run, words or f"Registered as {version}.")
            if run.promote_when_done and not view.promotions.exists():
                _promote_first(run, version)
            held = run_end(
                run, Run.State.DONE, words, model_version=None if twin else version, note="",
                stage_seconds=watch.stage_seconds, peak_memory_mb=watch.peak_memory_mb,
                done_steps=1, total_steps=1,
            )  # fmt: skip
            if not held:
                raise StoppedError(Run.State.FAILED, "Another worker took this run over.")
            PoolEntry.objects.filter(
                image_id__in=SnapshotEntry.objects.filter(snapshot=run.snapshot_id).values(
                    "image_id"
                ),
                state=PoolEntry.State.VERIFIED,
            ).update(state=PoolEntry.State.USED, changed_at=timezone.now())
            event_record(
                kind="run.done", subject=f"run:{run.pk}", actor=run.requested_by,
                data={"version": version.pk, "manifest": version.manifest_sha256},
            )  # fmt: skip
    except (DomainError, DetectionError, OSError) as error:
        raise StoppedError(Run.State.FAILED, f"The model could not be stored: {error}") from error


def _promote_first(run: Run, version: ModelVersion) -> None:
    """Let the first model serve; where that is refused by now it stays a candidate."""
    from training.services.promotion import promote_first

    try:
        with transaction.atomic():
            promote_first(version=version, person=run.requested_by)
    except DomainError as error:
        run_log(run, f"It does not serve yet: {error.message}")
    else:
        run_log(run, f"{version} serves.")
