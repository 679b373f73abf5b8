"""``manage.py train``: queue a training, or carry it out here and show its progress."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from detection.protocol import DetectionError
from inspection.errors import DomainError
from inspection.models import Person, View
from training.models import Run
from training.services.execution import run_execute
from training.services.mvtec import mvtec_import
from training.services.promotion import promote
from training.services.runs import run_request


class Command(BaseCommand):
    """Trains a view from the command line."""

    help = "Train a view on its verified normals; with --import, take in a folder first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--view", required=True, help='number, or "PRODUCT, VIEW"')
        parser.add_argument("--person", required=True, help="who asks: a user name")
        parser.add_argument("--import", dest="folder", type=Path, help="folder in MVTec layout")
        parser.add_argument("--reason", default="", help="why the imported normals are normal")
        parser.add_argument("--now", action="store_true", help="train here, not in a worker")
        parser.add_argument("--promote", default="", metavar="WHY", help="then let it serve")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do what was asked, or say why not."""
        person = Person.objects.filter(username=options["person"]).first()
        if person is None:
            raise CommandError(f"There is no person {options['person']!r}.")
        if options["promote"] and not options["now"]:
            raise CommandError("--promote waits for the model, so it needs --now.")
        view = self._view(options["view"])
        try:
            if options["folder"] is not None:
                self._import(view, person, options["folder"], options["reason"])
            run = run_request(view=view, person=person)
            self.stdout.write(f"Run {run.pk} of {view} is queued.")
            if options["now"]:
                self._carry_out(run, person, options["promote"])
        except (DomainError, DetectionError) as error:
            raise CommandError(str(error)) from error

    def _view(self, key: str) -> View:
        views = View.objects.select_related("product__line__site")
        if key.isascii() and key.isdigit():
            found = views.filter(pk=int(key)).first()
        else:
            product, _, name = key.rpartition(", ")
            found = views.filter(product__name=product, name=name).first()
        if found is None:
            raise CommandError(f"There is no view {key!r}.")
        return found

    def _import(self, view: View, person: Person, folder: Path, reason: str) -> None:
        result = mvtec_import(
            folder=folder, product=view.product, view=view, person=person, reason=reason,
            on_progress=self._progress,
        )  # fmt: skip
        self.stdout.write(
            f"Normals: {result.normals.sentence} Golden set: {result.golden_defects} defects, "
            f"{result.golden_normals} normals."
        )
        for name, why in (*result.normals.refused, *result.refused):
            self.stderr.write(f"{name}: {why}")

    def _progress(self, done: int, total: int, note: str) -> None:
        if done == total or done % 50 == 0:
            self.stdout.write(f"{note}: {done} of {total}")

    def _carry_out(self, run: Run, person: Person, reason: str) -> None:
        done = run_execute(run.pk)
        if done is None:
            raise CommandError("A worker took the run already: see its page.")
        self.stdout.write(done.log)
        if done.state != Run.State.DONE or done.model_version is None:
            raise CommandError(f"Run {done.pk} is {done.get_state_display()}: {done.reason}")
        self.stdout.write(f"{done.model_version} is ready.")
        if reason:
            promote(version=done.model_version, person=person, reason=reason)
            self.stdout.write(f"{done.model_version} serves.")
