"""The worker's own loop: finds work by itself, one piece at a time, notices when it is stuck."""

import subprocess
import sys
import time
from io import StringIO
from threading import Event, Thread

import pytest
from django.core.management import CommandError, call_command

from inspection.models import ScoringJob, WorkerBeat
from inspection.services.queues import Queue, queue_named, queue_register
from inspection.services.workers import Worker
from tests.inspection.scoring.conftest import FakeModel, Line


def _worker(work_one: object = lambda waited_s: False, limit_s: float | None = None) -> Worker:
    queue = Queue(name="scoring", work_one=work_one, limit_s=limit_s)  # type: ignore[arg-type]
    return Worker(queue, has_bell=False)


def test_scoring_and_training_are_registered() -> None:
    assert queue_named("scoring").limit_s is not None
    assert queue_named("training").limit_s is None  # a run has a watchdog of its own


def test_a_turn_does_one_job_and_beats(line: Line, model: FakeModel) -> None:
    for _ in range(2):
        line.job()
    worker = Worker(queue_named("scoring"), has_bell=False)
    assert [worker.turn(), worker.turn(), worker.turn()] == [True, True, False]
    assert ScoringJob.objects.filter(state="done").count() == 2
    beat = WorkerBeat.objects.get()
    assert (beat.name, beat.kind) == (worker.name, "scoring")


def test_the_loop_goes_on_after_a_fault_and_ends_when_told(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inspection.services.workers.AFTER_FAULT_S", 0.01)
    monkeypatch.setattr("inspection.services.workers.beats.beat", lambda *_: None)
    monkeypatch.setattr("inspection.services.workers.connections.close_all", lambda: None)
    monkeypatch.setattr("inspection.services.workers.close_old_connections", lambda: None)
    stop, calls = Event(), []

    def work_one(waited_s: float) -> bool:
        calls.append(waited_s)
        if len(calls) == 1:
            raise OSError("database away")
        if len(calls) == 3:
            stop.set()
        return True

    _worker(work_one).look(stop)
    assert len(calls) == 3


def test_bell_and_look_never_work_at_once(db: None) -> None:
    worker = _worker()
    worker.begin()  # a task from the bell
    order = []

    def look() -> None:
        worker.begin()
        order.append("look")
        worker.end()

    thread = Thread(target=look)
    thread.start()
    time.sleep(0.05)
    order.append("bell")
    worker.end()
    thread.join(5)
    assert order == ["bell", "look"]
    assert worker.done == 2


def test_only_work_that_takes_too_long_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("inspection.services.workers.time.monotonic", lambda: now[0])
    worker = _worker(limit_s=10)
    now[0] += 60
    assert not worker.is_stuck()  # idle
    worker.begin()
    now[0] += 9
    assert not worker.is_stuck()
    now[0] += 2
    assert worker.is_stuck()
    worker.end()
    assert not worker.is_stuck()
    endless = _worker(limit_s=None)
    endless.begin()
    now[0] += 1e6
    assert not endless.is_stuck()


def test_burst_does_what_waits_and_says_how_fast(
    line: Line, model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        line.job()
    out = StringIO()
    call_command("worker", queue="scoring", burst=True, stdout=out)
    assert out.getvalue().startswith("3 jobs in ")
    assert ScoringJob.objects.filter(state="done").count() == 3


def test_an_unknown_queue_is_refused(db: None) -> None:
    with pytest.raises(CommandError, match="no queue 'nothing'"):
        call_command("worker", queue="nothing")


def test_registering_a_queue_again_replaces_it() -> None:
    before = queue_named("scoring")
    try:
        queue_register(Queue(name="scoring", work_one=lambda waited_s: True))
        assert queue_named("scoring").work_one(0)
    finally:
        queue_register(before)


def test_what_the_web_process_imports_loads_no_engine() -> None:
    code = (
        "import django, sys; django.setup()\n"
        "import inspection.services.jobs, inspection.services.scoring, inspection.tasks\n"
        "import inspection.services.registry, inspection.services.relay\n"
        "import inspection.services.workers, inspection.services.routing\n"
        "heavy = {'torch', 'timm', 'faiss', 'openvino', 'cv2', 'numba'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
