"""The watchdog: whatever happens to the child, nothing half-made is registered."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.utils import timezone

from inspection.errors import StorageFullError
from inspection.models import Event, Membership, ModelVersion, Person, View, WorkerBeat
from inspection.services import queues
from tests import factories
from tests.training.records import add_normal
from training.models import PoolEntry, Run
from training.services import execution
from training.services.execution import Limits, process_use, run_execute
from training.services.runs import run_request

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fake_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "CHILD", "tests.training.children")
    monkeypatch.setattr(execution, "CHECK_EVERY_S", 0.05)


@pytest.fixture
def view() -> View:
    view = factories.make_view()
    for _ in range(6):
        add_normal(view)
    return view


def asked(view: View, engineer: Person, way: str = "works") -> Run:
    return run_request(view=view, person=engineer, config={"way": way})


def carried_out(run: Run, **limits: float) -> Run:
    done = run_execute(run.pk, limits=Limits(**limits))
    assert done is not None
    folder = Path(django_settings.CACHE_DIR) / "runs"
    assert list(folder.iterdir()) == [], "the work folder is gone whatever happened"
    return done


def test_a_run_that_works_ends_as_a_candidate(view: View, engineer: Person) -> None:
    asked_for = asked(view, engineer)
    left = Path(django_settings.CACHE_DIR) / "runs" / f"run-{asked_for.pk}-of-a-killed-worker"
    left.mkdir(parents=True)
    run = carried_out(asked_for)
    assert run.state == Run.State.DONE
    assert run.model_version is not None
    assert run.model_version.number == 1
    assert run.model_version.fit_seconds == 1.5
    assert view.promotions.count() == 0, "a candidate does not serve by itself"
    assert set(run.stage_seconds) == {"Reading the normals", "Saving"}
    assert "6 normals" in run.log
    assert run.peak_memory_mb is not None
    assert Event.objects.filter(kind="run.done").count() == 1
    assert WorkerBeat.objects.get().note == f"run {run.pk}"
    states = set(PoolEntry.objects.values_list("state", flat=True))
    assert states == {PoolEntry.State.USED}


def test_nothing_waits_nothing_happens() -> None:
    assert run_execute() is None


def test_delivered_twice_runs_once(view: View, engineer: Person) -> None:
    run = asked(view, engineer)
    carried_out(run)
    assert run_execute(run.pk) is None
    assert ModelVersion.objects.count() == 1


@pytest.mark.parametrize("way", ["killed", "killed after saving"])
def test_a_killed_child_is_tried_once_more_then_failed(
    view: View, engineer: Person, way: str
) -> None:
    run = asked(view, engineer, way)
    first = carried_out(run)
    assert first.state == Run.State.QUEUED
    assert "signal 9" in first.reason
    second = carried_out(run)
    assert second.state == Run.State.FAILED
    assert "2 times" in second.reason
    assert ModelVersion.objects.count() == 0
    assert set(PoolEntry.objects.values_list("state", flat=True)) == {PoolEntry.State.VERIFIED}


def test_a_mistake_in_the_data_ends_in_words(view: View, engineer: Person) -> None:
    run = carried_out(asked(view, engineer, "words"))
    assert run.state == Run.State.FAILED
    assert run.reason == "All normal images are the same picture."


def test_a_crash_leaves_its_last_lines_in_the_log(view: View, engineer: Person) -> None:
    run = carried_out(asked(view, engineer, "crash"))
    assert run.state == Run.State.FAILED
    assert "a mistake of ours" in run.reason
    assert "Traceback" in run.log


def test_too_long_too_large_too_silent(view: View, engineer: Person) -> None:
    slow = carried_out(asked(view, engineer, "busy"), seconds=0.3)
    assert slow.state == Run.State.FAILED
    assert "the limit is 0 s" in slow.reason
    large = carried_out(asked(view, engineer, "large"), memory_mb=90)
    assert large.state == Run.State.FAILED
    assert "MB of memory" in large.reason
    assert large.peak_memory_mb is not None
    assert large.peak_memory_mb > 90
    silent = carried_out(asked(view, engineer, "silent"), silent_seconds=1.0)
    assert silent.state == Run.State.QUEUED
    assert "No sign of life" in silent.reason


def cancel_soon(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    """Let somebody cancel between two checks of the watchdog."""
    real = execution._Watch._check
    checks: list[int] = []

    def check(self: object, child: "subprocess.Popen[bytes]", seconds: float) -> None:
        checks.append(child.pid)
        if len(checks) == 3:
            Run.objects.filter(pk=run.pk).update(
                cancel_requested_at=timezone.now(), reason="cancelled by E. Engineer"
            )
        real(self, child, seconds)  # type: ignore[arg-type]

    monkeypatch.setattr(execution._Watch, "_check", check)


def test_cancel_stops_the_child(
    view: View, engineer: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = asked(view, engineer, "busy")
    cancel_soon(monkeypatch, run)
    done = carried_out(run, seconds=30)
    assert done.state == Run.State.CANCELLED
    assert done.reason == "cancelled by E. Engineer"


def test_a_lost_lease_ends_the_child_and_changes_nothing(
    view: View, engineer: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = asked(view, engineer, "busy")
    real = execution._Watch._check

    def check(self: object, child: "subprocess.Popen[bytes]", seconds: float) -> None:
        Run.objects.filter(pk=run.pk).update(lease_token="another worker")
        real(self, child, seconds)  # type: ignore[arg-type]

    monkeypatch.setattr(execution._Watch, "_check", check)
    done = carried_out(run, seconds=30)
    assert done.state == Run.State.RUNNING
    assert done.lease_token == "another worker"


def test_a_worker_that_is_asked_to_end_gives_the_run_back(view: View, engineer: Person) -> None:
    run = asked(view, engineer, "busy")
    queues.stop_requested.set()
    try:
        done = carried_out(run, seconds=30)
    finally:
        queues.stop_requested.clear()
    assert done.state == Run.State.QUEUED
    assert done.attempts == 0, "it was nobody's fault"


def test_progress_renews_the_lease(
    view: View, engineer: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    real = execution._Watch._report

    def report(self: execution._Watch, *, done: int = 0, total: int = 0, note: str) -> None:
        Run.objects.filter(pk=self.run.pk).update(lease_until=timezone.now())
        real(self, done=done, total=total, note=note)
        seen.append(Run.objects.get(pk=self.run.pk).lease_until)

    monkeypatch.setattr(execution._Watch, "_report", report)
    carried_out(asked(view, engineer))
    assert len(seen) >= 2
    soon = timezone.now() + timedelta(seconds=30)
    assert all(lease is not None and lease > soon for lease in seen)


def test_the_first_model_serves_at_once_when_asked_so(view: View, engineer: Person) -> None:
    run = run_request(view=view, person=engineer, promote_when_done=True)
    done = carried_out(run)
    promotion = view.promotions.get()
    assert promotion.version == done.model_version
    assert promotion.by == engineer


def test_a_first_model_whose_person_lost_the_right_stays_a_candidate(
    view: View, engineer: Person
) -> None:
    run = run_request(view=view, person=engineer, promote_when_done=True)
    Membership.objects.filter(person=engineer).delete()
    done = carried_out(run)
    assert done.state == Run.State.DONE
    assert done.model_version is not None
    assert view.promotions.count() == 0
    assert "does not serve yet" in done.log


def test_an_artefact_that_is_not_whole_fails_in_words(
    view: View, engineer: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(**_: object) -> None:
        raise StorageFullError("The disk is almost full.")

    monkeypatch.setattr("inspection.services.registry.version_register", refuses)
    done = carried_out(asked(view, engineer))
    assert done.state == Run.State.FAILED
    assert "almost full" in done.reason


@pytest.fixture
def child() -> Iterator["subprocess.Popen[bytes]"]:
    read_fd, write_fd = os.pipe()
    started = subprocess.Popen(
        [sys.executable, "-m", "training.child", str(write_fd)],
        stdin=subprocess.PIPE, pass_fds=[write_fd], cwd=django_settings.BASE_DIR,
    )  # fmt: skip
    os.close(write_fd)
    yield started
    started.kill()
    started.wait()
    os.close(read_fd)


def test_the_real_child_ends_when_its_worker_is_gone(child: "subprocess.Popen[bytes]") -> None:
    assert child.stdin is not None
    child.stdin.write(b'{"normals": [], "wait": ')  # half a job: it waits for the rest
    child.stdin.close()  # what the kernel does when the worker is killed
    assert child.wait(timeout=60) != 0


def test_what_a_process_uses_is_read() -> None:
    memory_mb, cpu_s = process_use(os.getpid())
    assert memory_mb > 10
    assert cpu_s > 0
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert process_use(gone.pid) == (0.0, 0.0)
