"""What happened to the parts of a window, counted in the database.

A cohort: all counts are of parts routed in the window, and of the answers they got since. Only
answers that stand count; an answer stands while its item points at it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import (
    BigIntegerField,
    Count,
    Exists,
    Func,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Sum,
)
from django.utils import timezone

from inspection.access import WATCHERS, lines_for
from inspection.models import Line, Outcome, Part, Person, Policy, Product, Routing, Site
from inspection.selectors.parts import is_inspected
from review.models import Decision, ReviewItem
from review.windows import Window

Reason = ReviewItem.Reason
State = ReviewItem.State
Verdict = Decision.Verdict

FLAGS = (Outcome.REVIEW, Outcome.REJECT)
ANSWERS = (Verdict.GOOD, Verdict.DEFECT)

# What became of an audit.
COMPLETED = "completed"  # good or defect, by somebody who saw nothing of the model's
NOT_BLIND = "not blind"  # the product shows the heat first
SET_ASIDE = "set aside"  # looked at, deferred, unsure, reshoot: waits for another person
OPEN = "open"  # not come to yet


class TimeStep(Func):
    """A time as the number of whole steps since 1970.

    Django's own TruncHour calls Python for every row on SQLite: 150,000 parts took 5 s with it.
    """

    output_field = BigIntegerField()
    arity = 1

    def __init__(self, expression: str, *, seconds: int) -> None:
        super().__init__(expression, seconds=int(seconds))

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        """Return SQLite's: times are text there."""
        template = "CAST(strftime('%%%%s', %(expressions)s) AS INTEGER) / %(seconds)s"
        return self.as_sql(compiler, connection, template=template, **extra)

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        """Return Postgres'."""
        template = "FLOOR(EXTRACT(EPOCH FROM %(expressions)s) / %(seconds)s)::bigint"
        return self.as_sql(compiler, connection, template=template, **extra)


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose numbers, of when, of which product and line: see ``scope_for``."""

    window: Window
    lines: tuple[int, ...]
    product: int | None = None
    line: int | None = None

    def within(self, prefix: str) -> Q:
        """Return the filter on product and line; ``prefix`` leads to where the two stand."""
        query = Q(**{f"{prefix}line__in": self.lines})
        if self.product is not None:
            query &= Q(**{f"{prefix}product_id": self.product})
        return query

    def during(self, name: str) -> Q:
        """Return the filter for times in the window."""
        return Q(**{f"{name}__gte": self.window.start, f"{name}__lt": self.window.end})

    def step(self, name: str) -> "TimeStep":
        """Return the expression that groups a time into steps for ``bucket``."""
        return TimeStep(name, seconds=self.window.step_s)

    def bucket(self, step: int) -> datetime:
        """Return the start of the site's hour or day in which a step lies."""
        return self.window.bucket_of(datetime.fromtimestamp(step * self.window.step_s, UTC))


@dataclass(frozen=True, slots=True)
class Flow:
    """Parts that share product, hour or day, outcome and band of surprise."""

    product: int
    product_name: str
    bucket: datetime
    outcome: str
    band: int
    count: int


@dataclass(frozen=True, slots=True)
class Answered:
    """Flagged parts that a person said good or defect of."""

    product: int
    product_name: str
    bucket: datetime
    verdict: str
    count: int


@dataclass(frozen=True, slots=True)
class Audits:
    """Audited parts that share band, probability and what became of them."""

    bucket: datetime
    band: int
    probability: float
    status: str
    is_miss: bool
    count: int


@dataclass(frozen=True, slots=True)
class Counts:
    """Everything counted over one window."""

    flow: list[Flow]
    answered: list[Answered]
    audits: list[Audits]
    review_seconds: dict[int, float] = field(default_factory=dict)  # by product

    def parts(self, *outcomes: str, product: int | None = None) -> int:
        """Return how many parts had one of the outcomes; all parts where none is named."""
        return sum(
            row.count
            for row in self.flow
            if (not outcomes or row.outcome in outcomes) and product in (None, row.product)
        )

    def flags_answered(self, verdict: str, product: int | None = None) -> int:
        """Return how many flagged parts were said to be good, or defect."""
        return sum(
            row.count
            for row in self.answered
            if row.verdict == verdict and product in (None, row.product)
        )

    def audits_with(self, *statuses: str) -> int:
        """Return how many audits have one of the statuses."""
        return sum(row.count for row in self.audits if row.status in statuses)

    @property
    def misses(self) -> int:
        """Defects found among passed parts by completed audits."""
        return sum(row.count for row in self.audits if row.status == COMPLETED and row.is_miss)


def scope_for(
    person: Person, window: Window, *, product: int | None = None, line: int | None = None
) -> Scope:
    """Return the scope of what the person watches, within product and line."""
    lines = lines_for(person, WATCHERS)
    if line is not None:
        lines = lines.filter(pk=line)
    return Scope(window, tuple(lines.values_list("pk", flat=True)), product, line)


def site_of(person: Person) -> Site | None:
    """Return the site of the person's lines: its time zone and currency rule the page."""
    return Site.objects.filter(lines__in=lines_for(person)).order_by("id").first()


def zone_of(site: Site | None) -> ZoneInfo:
    """Return a site's time zone; UTC where it cannot be read."""
    try:
        return ZoneInfo(site.time_zone if site is not None else "UTC")
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")


def counts_of(scope: Scope) -> Counts:
    """Return the counts of a window: four queries, whatever the number of parts."""
    return Counts(_flow(scope), _answered(scope), _audits(scope), _review_seconds(scope))


def _flow(scope: Scope) -> list[Flow]:
    rows = (
        Routing.objects.filter(scope.within("part__"), scope.during("at"))
        .values("part__product_id", "part__product__name", "outcome", "surprise_band")
        .annotate(step=scope.step("at"), count=Count("id"))
        .order_by()
    )
    sums: dict[tuple[int, str, datetime, str, int], int] = {}
    for row in rows:
        key = (
            row["part__product_id"],
            row["part__product__name"],
            scope.bucket(row["step"]),
            row["outcome"],
            row["surprise_band"] or 0,
        )
        sums[key] = sums.get(key, 0) + row["count"]
    return [Flow(*key, count) for key, count in sums.items()]


def _answered(scope: Scope) -> list[Answered]:
    # At most one item per flagged part is answered good or defect: a next round is made only
    # after unsure, and withdrawn with it.
    rows = (
        ReviewItem.objects.filter(scope.within(""), scope.during("routing__at"))
        .filter(reason=Reason.FLAGGED, state=State.ANSWERED, decision__verdict__in=ANSWERS)
        .filter(routing__outcome__in=FLAGS)
        .values("product_id", "product__name", "decision__verdict")
        .annotate(step=scope.step("routing__at"), count=Count("id"))
        .order_by()
    )
    return [
        Answered(
            product=row["product_id"],
            product_name=row["product__name"],
            bucket=scope.bucket(row["step"]),
            verdict=str(row["decision__verdict"]),
            count=row["count"],
        )
        for row in rows
    ]


def _audits(scope: Scope) -> list[Audits]:
    kept_from_somebody = ReviewItem.not_for.through.objects.filter(reviewitem=OuterRef("pk"))
    rows = (
        ReviewItem.objects.filter(scope.within(""), scope.during("routing__at"))
        .filter(reason=Reason.AUDIT, state__in=[State.WAITING, State.ANSWERED])
        .annotate(is_kept=Exists(kept_from_somebody), step=scope.step("routing__at"))
        .values(
            "step", "routing__surprise_band", "routing__audit_probability", "state",
            "is_blind", "is_kept", "decision__verdict", "decision__looked_before",
        )
        .annotate(count=Count("id"))
        .order_by()
    )  # fmt: skip
    found = []
    for row in rows:
        status = _audit_status(row)
        if status:
            found.append(
                Audits(
                    bucket=scope.bucket(row["step"]),
                    band=row["routing__surprise_band"] or 0,
                    probability=row["routing__audit_probability"] or 1.0,
                    status=status,
                    is_miss=row["decision__verdict"] == Verdict.DEFECT,
                    count=row["count"],
                )
            )
    return found


def _audit_status(row: Any) -> str:
    """Return what became of an audit's item; empty where a later round speaks for the part."""
    if row["state"] == State.WAITING:
        return SET_ASIDE if row["is_kept"] else OPEN
    if row["decision__verdict"] not in ANSWERS:
        return ""
    if not row["is_blind"]:
        return NOT_BLIND
    return "" if row["decision__looked_before"] else COMPLETED


def _review_seconds(scope: Scope) -> dict[int, float]:
    """Return the time spent per product. Undone answers took their time too."""
    rows = (
        Decision.objects.filter(scope.within("item__"), scope.during("item__routing__at"))
        .values("item__product_id")
        .annotate(seconds=Sum("seconds"))
        .order_by()
    )
    return {row["item__product_id"]: row["seconds"] or 0.0 for row in rows}


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits now, whenever it was seen; all kinds together."""

    count: int
    oldest: datetime | None

    @property
    def oldest_minutes(self) -> float:
        """How long the oldest has waited."""
        if self.oldest is None:
            return 0.0
        return max(0.0, (timezone.now() - self.oldest).total_seconds() / 60)


def waiting_now(scope: Scope) -> Waiting:
    """Return how many items wait and since when the oldest does."""
    found = ReviewItem.objects.filter(scope.within(""), state=State.WAITING).aggregate(
        count=Count("id"), oldest=Min("waiting_since")
    )
    return Waiting(found["count"], found["oldest"])


def unrouted_parts(scope: Scope) -> int:
    """Return how many inspected parts of the window have no outcome yet."""
    parts = Part.objects.filter(scope.within(""), scope.during("first_seen_at"), outcome="")
    return parts.filter(is_inspected()).count()


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many items waited at the start of the window and at the end of each hour or day."""

    times: list[datetime]
    waiting: list[int]
    arrived: int
    answered: int


def backlog_of(scope: Scope) -> Backlog:
    """Return the length of the queue over the window: three queries."""
    items = ReviewItem.objects.filter(scope.within("")).exclude(state=State.WITHDRAWN)
    start = scope.window.start
    waiting = items.filter(
        Q(answered_at__isnull=True) | Q(answered_at__gte=start), waiting_since__lt=start
    ).count()
    arrived = _by_bucket(scope, items, "waiting_since")
    answered = _by_bucket(scope, items, "answered_at")
    starts = scope.window.buckets()
    ends = [*starts[1:], min(scope.window.end, timezone.now())]
    lengths = [waiting]
    for begin in starts:
        lengths.append(lengths[-1] + arrived.get(begin, 0) - answered.get(begin, 0))
    return Backlog([starts[0], *ends], lengths, sum(arrived.values()), sum(answered.values()))


def _by_bucket(scope: Scope, items: QuerySet[ReviewItem], name: str) -> dict[datetime, int]:
    rows = (
        items.filter(scope.during(name))
        .values(step=scope.step(name))
        .annotate(count=Count("id"))
        .order_by()
    )
    sums: dict[datetime, int] = {}
    for row in rows:
        bucket = scope.bucket(row["step"])
        sums[bucket] = sums.get(bucket, 0) + row["count"]
    return sums


@dataclass(frozen=True, slots=True)
class TypeCount:
    """How often a defect type was named among confirmed flags."""

    name: str
    count: int


def defect_types_of(scope: Scope) -> list[TypeCount]:
    """Return the defect types of confirmed flags, most frequent first; without a type: "none"."""
    rows = (
        ReviewItem.objects.filter(scope.within(""), scope.during("routing__at"))
        .filter(reason=Reason.FLAGGED, state=State.ANSWERED, decision__verdict=Verdict.DEFECT)
        .filter(routing__outcome__in=FLAGS)
        .values("decision__defect_types__name")
        .annotate(count=Count("id"))
        .order_by("-count", "decision__defect_types__name")
    )
    return [
        TypeCount(row["decision__defect_types__name"] or "no type named", row["count"])
        for row in rows
    ]


def policies_of(products: Sequence[int]) -> dict[int, Policy]:
    """Return the policy in force of each product."""
    found: dict[int, Policy] = {}
    for policy in Policy.objects.filter(product_id__in=products).order_by("version"):
        found[policy.product_id] = policy
    return found


def choices_of(person: Person) -> tuple[list[Product], list[Line]]:
    """Return the products and lines that the page can be filtered by."""
    lines = lines_for(person, WATCHERS)
    return list(Product.objects.filter(line__in=lines)), list(lines)
