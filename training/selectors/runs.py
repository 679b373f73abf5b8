"""Runs, of the lines on which a person may train."""

from django.db.models import QuerySet

from inspection.access import MAKERS, lines_for
from inspection.errors import NotFoundError
from inspection.models import Person, View
from training.models import Run


def run_of(person: Person, run_id: int) -> Run:
    """Return one run with what its page shows.

    Raises:
        NotFoundError: No such run, or not on a line where the person may train.
    """
    run = (
        Run.objects.filter(pk=run_id, view__product__line__in=lines_for(person, MAKERS))
        .select_related("view__product__line__site", "snapshot", "model_version", "requested_by")
        .first()
    )
    if run is None:
        raise NotFoundError("There is no such run on your lines.")
    return run


def runs_of_view(view: View) -> QuerySet[Run]:
    """Return the runs of a view, newest first; the log is left in the database."""
    return (
        Run.objects.filter(view=view)
        .select_related("model_version", "requested_by", "snapshot")
        .defer("log", "model_version__metrics", "model_version__manifest")
        .order_by("-id")
    )
