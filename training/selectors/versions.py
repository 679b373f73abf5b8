"""Model versions, of the lines on which a person may train."""

from django.db.models import Count, Max, QuerySet

from inspection.access import MAKERS, lines_for
from inspection.errors import NotFoundError
from inspection.models import ModelVersion, Person, View


def version_of(person: Person, version_id: int) -> ModelVersion:
    """Return one version with what its page shows.

    Raises:
        NotFoundError: No such version, or not on a line where the person may train.
    """
    version = (
        ModelVersion.objects.filter(
            pk=version_id, view__product__line__in=lines_for(person, MAKERS)
        )
        .select_related("view__product__line__site")
        .first()
    )
    if version is None:
        raise NotFoundError("There is no such model version on your lines.")
    return version


def versions_of_view(view: View) -> QuerySet[ModelVersion]:
    """Return the versions of a view, newest first, with ``served_count`` and ``last_served``."""
    return (
        ModelVersion.objects.filter(view=view)
        .defer("manifest")
        .annotate(served_count=Count("promotions"), last_served=Max("promotions__at"))
        .order_by("-number")
    )
