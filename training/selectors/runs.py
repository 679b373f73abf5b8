"""Runs, of the lines on which a person may train."""

from typing import Any

from django.db.models import QuerySet

from inspection.access import MAKERS, lines_for
from inspection.errors import NotFoundError
from inspection.models import Person, Promotion, View
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


def settings_of_view(view: View) -> dict[str, Any]:
    """Return the settings by which the view's next model learns unless somebody says otherwise.

    Those of the model that serves, so that a run by schedule makes one of its kind; before any
    serves, those of the newest run that made one.
    """
    runs = Run.objects.filter(view=view, model_version__isnull=False)
    promotion = Promotion.objects.filter(view=view).order_by("-id").first()
    if promotion is not None:
        runs = runs.filter(model_version=promotion.version_id)
    return dict(runs.order_by("-id").values_list("config", flat=True).first() or {})
