"""The relay against a real broker: rung once, rung again, and nothing lost while it is away."""

import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from django.db import OperationalError
from django.utils import timezone

from config import broker
from inspection.models import Outbox, Routing, ScoringJob, WorkerBeat
from inspection.services.outbox import Bell, outbox_add, relay_once
from inspection.services.relay import Relay
from tests import factories
from tests.inspection.scoring.conftest import FakeModel, Line


class Broker:
    """The embedded broker, as the supervisor starts it, in a folder with a short name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "valkey.sock"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What kombu calls it."""
        return f"redis+socket://{self.socket}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = broker.broker_command(self.folder, self.socket)
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until = time.monotonic() + 20
        while not broker.answers(self.socket):
            assert time.monotonic() < until, "the broker does not answer"
            time.sleep(0.02)

    def kill(self) -> None:
        """Kill it as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def length(self, queue: str) -> int:
        """Return how many messages wait in a queue."""
        import redis

        with redis.Redis(unix_socket_path=str(self.socket)) as client:
            return int(client.llen(queue))


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="slb-") as folder:
        yield Path(folder)


@pytest.fixture
def server(folder: Path, settings: Any) -> Iterator[Broker]:
    """A broker that runs."""
    server = Broker(folder)
    settings.BROKER_URL = server.url
    server.start()
    yield server
    server.kill()


def _bell(url: str) -> Bell:
    app = Celery("test", broker=url, set_as_current=False)
    app.conf.task_ignore_result = True
    return Bell(app)


@pytest.fixture
def bell(server: Broker) -> Iterator[Bell]:
    bell = _bell(server.url)
    yield bell
    bell.close()


def _unsent() -> int:
    return Outbox.objects.filter(sent_at__isnull=True).count()


def test_rows_are_rung_once_in_their_queues(db: None, server: Broker, bell: Bell) -> None:
    outbox_add("score", {"job_id": 1})
    outbox_add("score", {"job_id": 2})
    outbox_add("train", {"run_id": 3})
    outbox_add("line", {"serial": "R62-1"}, line=factories.make_line())
    assert relay_once(bell) == 3
    assert relay_once(bell) == 0
    assert (server.length("scoring"), server.length("training")) == (2, 1)
    assert _unsent() == 0


def test_without_a_broker_rows_are_only_marked(db: None, settings: Any) -> None:
    settings.BROKER_URL = ""
    outbox_add("score", {"job_id": 1})
    assert relay_once() == 1
    assert _unsent() == 0


def test_the_broker_is_away_and_comes_back(db: None, server: Broker, bell: Bell) -> None:
    relay = Relay(bell)
    outbox_add("score", {"job_id": 1})
    relay.turn(time.monotonic())
    server.kill()
    outbox_add("score", {"job_id": 2})
    outbox_add("score", {"job_id": 3})
    for _ in range(3):
        relay.turn(time.monotonic())  # does not raise
    assert relay.broker_away
    assert _unsent() == 2
    server.start()
    relay.turn(time.monotonic() + 60)
    assert not relay.broker_away
    assert _unsent() == 0
    assert server.length("scoring") == 3  # the first one came back from the log


def test_the_wait_for_the_broker_grows_and_sweeps_go_on(
    db: None, folder: Path, settings: Any, line: Line
) -> None:
    settings.BROKER_URL = f"redis+socket://{folder}/nobody.sock"
    relay = Relay(_bell(settings.BROKER_URL))
    outbox_add("score", {"job_id": 1})
    waits = []
    for _ in range(4):
        relay._not_before = 0.0
        relay.turn(time.monotonic())
        waits.append(relay._back_off_s)
    assert waits == sorted(waits)
    assert waits[0] < waits[-1] <= 8.0
    dead = line.job()
    ScoringJob.objects.filter(pk=dead.pk).update(
        state="running", attempts=1, lease_until=factories.minutes_ago(1)
    )
    relay.turn(time.monotonic() + 60)
    assert ScoringJob.objects.get(pk=dead.pk).state == "queued"
    assert WorkerBeat.objects.get(kind="relay").note == "broker away"


def test_a_silent_broker_is_given_up_on(db: None, folder: Path, settings: Any) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "silent.sock"))
    listener.listen()
    accepted: list[socket.socket] = []

    def accept() -> None:
        try:
            while True:
                accepted.append(listener.accept()[0])
        except OSError:
            return

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        settings.BROKER_URL = f"redis+socket://{folder}/silent.sock"
        relay = Relay(_bell(settings.BROKER_URL))
        outbox_add("score", {"job_id": 1})
        relay.turn(time.monotonic())
        assert relay.broker_away
        assert accepted
        assert _unsent() == 1
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in accepted:
            connection.close()
        thread.join(5)


def test_a_job_that_nobody_hears_is_rung_for_again_ever_more_rarely(
    db: None, server: Broker, bell: Bell, line: Line
) -> None:
    line.job(queued_at=factories.minutes_ago(1))
    relay = Relay(bell)
    now_s = time.monotonic()
    for second in range(0, 60, 2):
        relay.turn(now_s + second)
    assert server.length("scoring") == 4  # at 0, 6, 16 and 36 s


def test_an_overdue_part_is_routed_by_the_relay(
    db: None, settings: Any, line: Line, model: FakeModel
) -> None:
    settings.BROKER_URL = ""
    factories.make_view(line.product, "back")
    job = line.job(received_at=factories.minutes_ago(5))
    type(job.image.part).objects.update(first_seen_at=factories.minutes_ago(5))
    job.state, job.model_version = "done", line.version
    job.save()
    factories.make_score(job.image, line.version, 0.1)
    Relay().turn(time.monotonic())
    assert Routing.objects.get().outcome == "review"


def test_a_database_that_is_away_is_not_taken_for_the_broker(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay = Relay()

    def away(bell: Bell) -> int:
        raise OperationalError("server closed the connection")

    monkeypatch.setattr("inspection.services.relay.relay_once", away)
    relay.turn(time.monotonic())
    assert not relay.broker_away


def test_a_relay_survives_a_database_that_does_not_answer(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay = Relay()

    def away() -> None:
        raise OperationalError("server closed the connection")

    monkeypatch.setattr("inspection.services.relay.jobs.jobs_sweep", away)
    assert relay.turn(time.monotonic()) is False


def test_the_beat_of_a_process_is_one_row(db: None) -> None:
    from inspection.services.beats import beat, beat_end

    long_ago = timezone.now() - timedelta(days=3)
    WorkerBeat.objects.create(name="relay old", kind="relay", started_at=long_ago, seen_at=long_ago)
    for note in ("1 sent", "2 sent"):
        beat("relay me", "relay", note)
    assert list(WorkerBeat.objects.values_list("name", "note")) == [("relay me", "2 sent")]
    beat_end("relay me")
    assert not WorkerBeat.objects.exists()
