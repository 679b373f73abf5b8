"""What lies in the pools, and what that is enough for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import TruncDate

from detection.calibration import HELD_OUT_SHARE
from detection.statistics import normals_needed
from detection.statistics.surprise import LOTS_NEEDED
from inspection import hooks
from inspection.models import Image, Part, View
from training.models import Attestation, GoldenEntry, PoolEntry
from training.services.snapshots import LEARNABLE, MIN_NORMALS

# What a first model usually needs before it stops learning something new from each image.
USUAL_NORMALS = 100
# Of each defect type, for testing only: ten of ten caught shows at least 74 %.
USUAL_DEFECTS = 10
State = PoolEntry.State


@dataclass(slots=True)
class Pool:
    """Counts of one view's pools; ``lots`` (else days) are those of what may calibrate."""

    quarantined: int = 0
    verified: int = 0
    used: int = 0
    defect: int = 0
    withdrawn: int = 0
    may_calibrate: int = 0
    lots: int = 0
    golden_normals: int = 0
    golden_defects: int = 0

    @property
    def normals(self) -> int:
        """Return how many normals may be learned now."""
        return self.verified + self.used

    @property
    def is_enough(self) -> bool:
        """Return whether a model can be trained at all."""
        return self.normals >= MIN_NORMALS

    @property
    def sentence(self) -> str:
        """Return what is there and what is missing, in words."""
        if not self.is_enough:
            return f"{self.normals} of {MIN_NORMALS} normals: too few for a model."
        if self.normals < USUAL_NORMALS:
            return f"{self.normals} of {USUAL_NORMALS} normals: enough for a first model."
        return f"{self.normals:,} normals: enough for a model."

    @property
    def promise(self) -> str:
        """Return what the normals can promise about false alarms."""
        need = normals_needed(0.01)
        held_out = round(HELD_OUT_SHARE * self.may_calibrate)
        # Whole lots are held out; a single one is split instead.
        lots = min(self.lots, max(1, round(HELD_OUT_SHARE * self.lots)))
        if held_out >= need and lots >= LOTS_NEEDED:
            return (
                f"About {held_out:,} normals of {lots} lots or days calibrate: a promise of 1 % "
                "is possible where lots are alike."
            )
        return (
            f"No promise about false alarms below {need} calibration normals of {LOTS_NEEDED} "
            f"lots or days; about {held_out:,} of {lots} would calibrate now."
        )

    @property
    def tests(self) -> str:
        """Return what the golden set can show."""
        if not self.golden_defects:
            return (
                f"No known defects: detection stays unknown. About {USUAL_DEFECTS} of each type "
                "are usual, for testing only."
            )
        return f"{self.golden_defects} known defects and {self.golden_normals} known normals."


def pool_counts(views: Sequence[View]) -> dict[int, Pool]:
    """Return the pools of the views, by view id: a query per time zone, and one."""
    pools = {view.pk: Pool() for view in views}
    for zone in {view.product.line.site.time_zone for view in views}:
        here = [view.pk for view in views if view.product.line.site.time_zone == zone]
        for row in _counts(here, ZoneInfo(zone)):
            pool = pools[row["view"]]
            pool.quarantined, pool.verified = row["quarantined"], row["verified"]
            pool.used, pool.defect = row["used"], row["defect"]
            pool.withdrawn, pool.may_calibrate = row["withdrawn"], row["calibrating"]
            pool.lots = row["named_lots"] + row["days"]
    golden = (
        GoldenEntry.objects.filter(view__in=pools)
        .values("view")
        .annotate(
            defects=Count("pk", filter=Q(is_defect=True)),
            normals=Count("pk", filter=Q(is_defect=False)),
        )
    )
    for truth in golden:
        pools[truth["view"]].golden_defects = truth["defects"]
        pools[truth["view"]].golden_normals = truth["normals"]
    return pools


def _counts(view_ids: Sequence[int], zone: ZoneInfo) -> Iterable[Mapping[str, Any]]:
    """Return a row of counts per view; a day counts as a lot of images that name none."""
    may = Q(state__in=LEARNABLE, may_calibrate=True)
    has_lot = ~Q(image__part__lot="")
    return (
        PoolEntry.objects.filter(view__in=view_ids)
        .values("view")
        .annotate(
            quarantined=Count("pk", filter=Q(state=State.QUARANTINED)),
            verified=Count("pk", filter=Q(state=State.VERIFIED)),
            used=Count("pk", filter=Q(state=State.USED)),
            defect=Count("pk", filter=Q(state=State.DEFECT)),
            withdrawn=Count("pk", filter=Q(state=State.WITHDRAWN)),
            calibrating=Count("pk", filter=may),
            named_lots=Count("image__part__lot", filter=may & has_lot, distinct=True),
            days=Count(
                TruncDate("image__captured_at", tzinfo=zone),
                filter=may & ~has_lot,
                distinct=True,
            ),
        )
    )


def attestations_of_view(view: View) -> QuerySet[Attestation]:
    """Return who vouched for imported normals of the view, newest first."""
    return Attestation.objects.filter(view=view).select_related("person").order_by("-id")


def known_normals(part: Part) -> set[int]:
    """Return the ids of the part's images that models learn from as normal."""
    entries = PoolEntry.objects.filter(image__part=part, state__in=LEARNABLE)
    return set(entries.values_list("image_id", flat=True))


def first_normal(view: View) -> Image | None:
    """Return the picture to begin with as a view's golden reference; none without a normal.

    The first that somebody vouched for: a set-up shoot is chosen without regard to any score.
    The most ordinary one would be better, but normals are not scored before a model serves.
    """
    entry = (
        PoolEntry.objects.filter(view=view, state__in=LEARNABLE)
        .order_by("-may_calibrate", F("attestation").asc(nulls_last=True), "image_id")
        .select_related("image")
        .first()
    )
    return entry.image if entry is not None else None


def pool_images(view: View, state: str) -> QuerySet[PoolEntry]:
    """Return the entries of one pool with what a page shows of them, newest first.

    Without parts that somebody is asked about again: which pool they lie in is somebody's answer,
    and whoever looks here may be the next to answer.
    """
    in_review = Part.objects.filter(hooks.parts_in_review.ask(), pk=OuterRef("image__part"))
    return (
        PoolEntry.objects.filter(~Exists(in_review), view=view, state=state)
        .select_related("image__part", "added_by", "attestation")
        .order_by("-changed_at", "-id")
    )
