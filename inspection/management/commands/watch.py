"""``manage.py watch``: take in what is put into the watched folder, until stopped."""

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError, close_old_connections, connection

from inspection.intake.watching import watcher_from_settings
from inspection.services.beats import beat, beat_end, process_name

POLL_S = 0.5  # a look at an empty folder costs some microseconds
BEAT_EVERY = 10  # polls


class Command(BaseCommand):
    """Polls, because change notices do not cross network drives."""

    help = "Take in images from INBOX/<product>/<view>/, until stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--once", action="store_true", help="stop when nothing waits")

    def handle(self, *args: Any, **options: Any) -> None:
        """Watch until a signal, or until nothing waits."""
        stop = threading.Event()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: stop.set())
        watcher = watcher_from_settings()
        name = process_name("watcher")
        self.stdout.write(f"Watching {watcher.inbox}")
        polls = 0
        while not stop.is_set():
            if not connection.in_atomic_block:
                close_old_connections()  # a database that was restarted is met again
            done = watcher.poll()
            if done.accepted or done.refused:
                self.stdout.write(f"{done.accepted} taken in, {done.refused} refused")
            if options["once"] and not done.waiting:
                break
            if polls % BEAT_EVERY == 0:
                self._beat(name)
            polls += 1
            stop.wait(POLL_S)
        beat_end(name)

    def _beat(self, name: str) -> None:
        try:
            beat(name, "watcher")
        except DatabaseError as error:  # the files wait, and so do we
            self.stderr.write(f"The database does not answer: {error}")
