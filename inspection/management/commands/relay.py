"""Sends what requests wrote down to the workers, and finds work that was lost."""

import signal
from threading import Event
from typing import Any

from django.core.management.base import BaseCommand

from inspection.services.relay import Relay


class Command(BaseCommand):
    """``manage.py relay``: runs until SIGTERM."""

    help = "Ring the workers' bells, put lost jobs back, route overdue parts. Runs until stopped."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the loop."""
        stop = Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        Relay().run(stop)
