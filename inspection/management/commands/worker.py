"""Does the work of one queue: scoring or training."""

import signal
import sys
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from inspection.services.queues import queue_named, stop_requested
from inspection.services.workers import Worker


class Command(BaseCommand):
    """``manage.py worker --queue scoring``: runs until SIGTERM."""

    help = (
        "Score images or train models. With a broker it listens to it, in every case it looks "
        "at the rows itself. --burst does what waits, says how fast it went, and ends."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the queue's name and the burst switch."""
        parser.add_argument("--queue", default="scoring")
        parser.add_argument("--burst", action="store_true", help="do what waits, then end")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the worker."""
        try:
            queue = queue_named(options["queue"])
        except KeyError as error:
            raise CommandError(f"There is no queue {options['queue']!r}.") from error
        if options["burst"]:
            self._burst(Worker(queue, has_bell=False))
            return
        has_bell = bool(settings.BROKER_URL)
        worker = Worker(queue, has_bell=has_bell)
        if has_bell:
            from config.celery import app

            code = worker.run_with_celery(app)
            if code:
                sys.exit(code)
            return
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop_requested.set())
        worker.run()

    def _burst(self, worker: Worker) -> None:
        worker.prepare()
        started, cpu_started = time.perf_counter(), time.process_time()
        while worker.turn():
            pass
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
        count = max(worker.done, 1)
        self.stdout.write(
            f"{worker.done} jobs in {seconds:.2f} s: "
            f"{worker.done / max(seconds, 1e-9):.1f} a second, {1000 * seconds / count:.1f} ms "
            f"each, {1000 * cpu_seconds / count:.1f} ms of it on the CPU"
        )
