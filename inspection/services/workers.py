"""A worker process: does the work of one queue, by the bell and by looking itself.

With a broker a Celery worker (pool solo) listens in the main thread; beside it a thread looks
for rows that nobody rang for, so that a lost message, or a broker that is away, costs seconds.
Never two pieces of work at once in one process: both take the same lock.
"""

import logging
import os
import time
from threading import Event, Lock, Thread
from typing import Any, Final

from django.db import close_old_connections, connections

from inspection.services import beats
from inspection.services.queues import Queue, stop_requested

logger = logging.getLogger("secondlook.worker")

BEAT_EVERY_S: Final = 5.0
# With a bell, rows younger than this are left to it; without one they are found at once.
UNHEARD_AFTER_S: Final = 1.0
LOOK_EVERY_S: Final = 1.0
POLL_EVERY_S: Final = 0.1
AFTER_FAULT_S: Final = 2.0
STUCK_EXIT_CODE: Final = 70  # EX_SOFTWARE: whoever supervises starts a new one


class Worker:
    """The work of one queue in this process."""

    def __init__(self, queue: Queue, *, has_bell: bool) -> None:
        self.queue = queue
        self.has_bell = has_bell
        self.name = beats.process_name(queue.name)
        self.done = 0
        self._busy = Lock()
        self._busy_since: float | None = None
        self._beat_at = 0.0

    def begin(self) -> None:
        """Wait until this process does nothing else, then count as busy."""
        self._busy.acquire()
        self._busy_since = time.monotonic()

    def end(self, *, was_work: bool = True) -> None:
        """Stop counting as busy."""
        self.done += was_work
        self._busy_since = None
        self._busy.release()

    def is_stuck(self) -> bool:
        """Return whether the piece of work at hand takes longer than any should."""
        since, limit_s = self._busy_since, self.queue.limit_s
        return since is not None and limit_s is not None and time.monotonic() - since > limit_s

    def turn(self, waited_s: float = 0.0) -> bool:
        """Do one piece of work that waited so long; return whether there was one."""
        self.begin()
        found = False
        try:
            found = self.queue.work_one(waited_s)
        finally:
            self.end(was_work=found)
        self._beat()
        return found

    def look(self, stop: Event) -> None:
        """Look for work until told to stop. Goes on after any fault."""
        every_s, waited_s = (
            (LOOK_EVERY_S, UNHEARD_AFTER_S) if self.has_bell else (POLL_EVERY_S, 0.0)
        )
        while not stop.is_set():
            try:
                if not self.turn(waited_s):
                    stop.wait(every_s)
            except Exception:
                logger.exception("%s: going on", self.name)
                close_old_connections()
                stop.wait(AFTER_FAULT_S)
        connections.close_all()

    def watch(self, stop: Event) -> None:
        """End the whole process hard when it is stuck; its lease runs out and brings the job back.

        Nothing softer works on a thread that hangs inside an engine.
        """
        while not stop.wait(1.0):
            if self.is_stuck():
                logger.critical("%s: no progress, ending the process", self.name)
                os._exit(STUCK_EXIT_CODE)

    def prepare(self) -> None:
        """Do what makes the first piece of work as quick as the others."""
        if self.queue.prepare is not None:
            try:
                self.queue.prepare()
            except Exception:  # the work itself will say what is wrong
                logger.exception("%s: could not prepare", self.name)

    def run(self) -> None:
        """Work until ``stop_requested`` is set, without a broker."""
        self.prepare()
        watcher = Thread(target=self.watch, args=(stop_requested,), daemon=True)
        watcher.start()
        self.look(stop_requested)
        watcher.join()
        beats.beat_end(self.name)

    def run_with_celery(self, app: Any) -> int:
        """Work until Celery is told to stop; returns its exit code."""
        self.prepare()
        looker = Thread(target=self.look, args=(stop_requested,), daemon=True)
        watcher = Thread(target=self.watch, args=(stop_requested,), daemon=True)
        looker.start()
        watcher.start()
        try:
            code = _celery_run(app, self)
        finally:
            stop_requested.set()
            looker.join()
            watcher.join()
            beats.beat_end(self.name)
        return code

    def _beat(self) -> None:
        if time.monotonic() < self._beat_at:
            return
        self._beat_at = time.monotonic() + BEAT_EVERY_S
        beats.beat(self.name, self.queue.name, f"{self.done} done")


def _celery_run(app: Any, worker: Worker) -> int:
    from celery.signals import task_postrun, task_prerun, worker_shutting_down

    def before(**_: Any) -> None:
        worker.begin()

    def after(retval: Any = None, **_: Any) -> None:
        worker.end(was_work=retval is not False)  # a bell for what was done already

    def stopping(**_: Any) -> None:
        stop_requested.set()

    task_prerun.connect(before, weak=False)
    task_postrun.connect(after, weak=False)
    worker_shutting_down.connect(stopping, weak=False)
    # The rows are looked at while the broker is away, so waiting for it has no end.
    app.conf.broker_connection_max_retries = None
    consumer = app.Worker(
        pool="solo",
        concurrency=1,
        queues=[worker.queue.name],
        hostname=f"{worker.name.replace(' ', '-')}@secondlook",
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        loglevel="WARNING",
        quiet=True,
    )
    consumer.start()
    return int(consumer.exitcode or 0)
