"""The tick: what is due by the clock or by count becomes a run, once.

Called every 20 seconds by the scheduler, and by the relay where no broker runs. Cheap, and the
same however often and by however many it is called: what is due is decided from rows, and a
unique slot makes two runs of one impossible.
"""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.db.models import Count, OuterRef, Q, Subquery
from django.utils import timezone

from inspection.models import Policy, View
from training.models import PoolEntry, Run
from training.selectors.runs import settings_of_view
from training.services.pools import pools_release
from training.services.runs import OPEN_STATES, run_request_in_slot, runs_sweep


def schedule_tick(*, now: datetime | None = None) -> list[Run]:
    """Release quarantine, recover lost runs, and queue what policies make due; returns new runs.

    A run made here learns as the model that serves did, and ends as a candidate: a person
    promotes it.
    """
    now = now or timezone.now()
    pools_release(now=now)
    runs_sweep(now=now)
    made = []
    for view, policy in _views_with_rules():
        for slot, trigger in _due(view, policy, now):
            run = run_request_in_slot(
                view=view, slot=slot, trigger=trigger, config=settings_of_view(view)
            )
            if run is not None:
                made.append(run)
    return made


def _views_with_rules() -> list[tuple[View, Policy]]:
    """Return the views whose policy in force retrains by itself and that have no open run."""
    newest = Policy.objects.filter(product=OuterRef("product")).order_by("-version").values("pk")
    policies = {
        policy.product_id: policy
        for policy in Policy.objects.filter(pk=Subquery(newest[:1])).filter(
            Q(retrain_at__isnull=False) | Q(retrain_after_normals__isnull=False)
        )
    }
    if not policies:
        return []
    views = (
        View.objects.filter(product__in=policies, product__archived_at__isnull=True)
        .exclude(runs__state__in=OPEN_STATES)
        .select_related("product__line__site")
    )
    return [(view, policies[view.product_id]) for view in views]


def _due(view: View, policy: Policy, now: datetime) -> list[tuple[str, str]]:
    """Return the slots and triggers that are due now, taken ones included."""
    due: list[tuple[str, str]] = []
    if policy.retrain_at is not None:
        zone = ZoneInfo(view.product.line.site.time_zone)
        day = latest_day(now, policy.retrain_at, zone)
        # A rule written at noon says nothing about last night.
        if datetime.combine(day, policy.retrain_at, tzinfo=zone) > policy.created_at:
            due.append((f"{view.pk}:{policy.pk}:{day}", Run.Trigger.SCHEDULE))
    if policy.retrain_after_normals:
        counts = PoolEntry.objects.filter(view=view).aggregate(
            new=Count("pk", filter=Q(state=PoolEntry.State.VERIFIED))
        )
        rounds = counts["new"] // policy.retrain_after_normals
        if rounds:
            last = (
                Run.objects.filter(view=view, state=Run.State.DONE)
                .order_by("-id")
                .values_list("pk", flat=True)
                .first()
            )
            # A run that failed is tried again only after as many normals more.
            slot = f"{view.pk}:{policy.pk}:after {last or 0}:{rounds}"
            due.append((slot, Run.Trigger.COUNT))
    return due


def latest_day(now: datetime, at: time, zone: ZoneInfo) -> date:
    """Return the local day of the last time the clock on the wall passed ``at``.

    By wall clock and day: an hour that comes twice in autumn, or not at all in spring, makes
    neither two runs nor none.
    """
    local = now.astimezone(zone)
    today = local.date()
    return today if local.time() >= at else today - timedelta(days=1)
