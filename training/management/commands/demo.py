"""``manage.py demo``: make the demo, or let its parts arrive. Only in demo mode."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.demo import LOGINS
from inspection.errors import DomainError
from training.demo.prepare import demo_prepare
from training.demo.stream import demo_stream


class Command(BaseCommand):
    """Make the demo; it may be interrupted and run again."""

    help = "Makes sample products, fits their models and fills the queue. Only in demo mode."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take a folder, or run as the line."""
        parser.add_argument("--data", type=Path, help="a folder in MVTec layout")
        parser.add_argument("--stream", action="store_true", help="send a part every few seconds")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run one of the two."""
        try:
            if options["stream"]:
                demo_stream(say=self._say)
            else:
                demo_prepare(folder=options["data"], logins=LOGINS, say=self._say)
        except DomainError as error:
            raise CommandError(error.message) from error

    def _say(self, words: str) -> None:
        self.stdout.write(words)
        self.stdout.flush()
