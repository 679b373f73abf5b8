"""Views as the model pages list them: what serves, what waits to, what is missing."""

from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from django.db.models import OuterRef, QuerySet, Subquery

from inspection.access import MAKERS, lines_for
from inspection.errors import NotFoundError
from inspection.models import ModelVersion, Person, Policy, Promotion, View
from training.models import Run
from training.selectors.pools import Pool, pool_counts
from training.services.runs import OPEN_STATES


@dataclass(frozen=True, slots=True)
class ViewRow:
    """One view with all that a list of models says of it."""

    view: View
    pool: Pool
    serving: ModelVersion | None
    newest: ModelVersion | None
    newest_served: bool
    open_run: Run | None

    @property
    def candidate(self) -> ModelVersion | None:
        """Return the newest version where it never served: it waits for somebody's word."""
        return None if self.newest_served else self.newest


def views_of(person: Person) -> QuerySet[View]:
    """Return the views that the person may train, by product."""
    return (
        View.objects.filter(
            product__line__in=lines_for(person, MAKERS), product__archived_at__isnull=True
        )
        .select_related("product__line__site")
        .order_by("product__name", "rank", "name")
    )


def view_of(person: Person, view_id: int) -> View:
    """Return one view.

    Raises:
        NotFoundError: No such view, or not on a line where the person may train.
    """
    view = views_of(person).filter(pk=view_id).first()
    if view is None:
        raise NotFoundError("There is no such view on your lines.")
    return view


def zone_of(view: View) -> ZoneInfo:
    """Return the time zone in which the view's pages show times."""
    return ZoneInfo(view.product.line.site.time_zone)


def retraining_of(view: View) -> str:
    """Return in words when the view is retrained by itself, by the policy in force."""
    policy = Policy.objects.filter(product=view.product_id).order_by("-version").first()
    rules = []
    if policy is not None and policy.retrain_at is not None:
        rules.append(f"daily at {policy.retrain_at:%H:%M}")
    if policy is not None and policy.retrain_after_normals:
        count = policy.retrain_after_normals
        rules.append(f"after {count} new normal{'' if count == 1 else 's'}")
    return f"retrains {', '.join(rules)}" if rules else "only by button"


def view_rows(views: Sequence[View]) -> list[ViewRow]:
    """Return the rows of these views, in their order; a constant number of queries."""
    ids = [view.pk for view in views]
    pools = pool_counts(views)
    newest_promotion = (
        Promotion.objects.filter(view=OuterRef("view")).order_by("-id").values("pk")[:1]
    )
    serving = {
        promotion.view_id: promotion.version
        for promotion in Promotion.objects.filter(
            view__in=ids, pk=Subquery(newest_promotion)
        ).select_related("version").defer("version__manifest", "version__metrics")
    }  # fmt: skip
    newest_version = (
        ModelVersion.objects.filter(view=OuterRef("view")).order_by("-number").values("pk")[:1]
    )
    newest = {
        version.view_id: version
        for version in ModelVersion.objects.filter(
            view__in=ids, pk=Subquery(newest_version)
        ).defer("manifest", "metrics")
    }  # fmt: skip
    served = set(
        Promotion.objects.filter(version__in=newest.values()).values_list("version_id", flat=True)
    )
    runs = {
        run.view_id: run
        for run in Run.objects.filter(view__in=ids, state__in=OPEN_STATES).defer("log")
    }
    return [
        ViewRow(
            view=view,
            pool=pools[view.pk],
            serving=serving.get(view.pk),
            newest=newest.get(view.pk),
            newest_served=view.pk in newest and newest[view.pk].pk in served,
            open_run=runs.get(view.pk),
        )
        for view in views
    ]
