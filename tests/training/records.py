"""Records of training for tests: items, answers, pools, snapshots, runs."""

import hashlib
import itertools
from typing import Any

from django.utils import timezone

from inspection.blobs import blob_put
from inspection.models import Image, Person, Routing, View
from review.models import Decision, ReviewItem
from tests import factories, images
from training.models import PoolEntry, Run, Snapshot
from training.services.pools import pool_follow_decision

_numbers = itertools.count(1)


def make_item(
    view: View | None = None,
    *,
    outcome: str = "review",
    reason: str = ReviewItem.Reason.FLAGGED,
    routing: Routing | None = None,
    image_fields: dict[str, Any] | None = None,
    **routing_fields: Any,
) -> ReviewItem:
    """Return a waiting item whose part has one scored image of the view."""
    view = view or factories.make_view()
    if routing is None:
        part = factories.make_part(view.product)
        fields = {"state": Image.State.SCORED} | (image_fields or {})
        factories.make_image(view, part, **fields)
        routing = factories.make_routing(part, outcome, **routing_fields)
    part = routing.part
    return ReviewItem.objects.create(
        part=part, routing=routing, product=part.product, line=part.line, reason=reason,
        priority=ReviewItem.Priority.SOON, waiting_since=timezone.now(),
        round=ReviewItem.objects.filter(routing=routing, reason=reason).count() + 1,
    )  # fmt: skip


def answer(
    item: ReviewItem, person: Person, verdict: str, *, supersedes: Decision | None = None
) -> Decision:
    """Return an answer that has gone through the pools."""
    decision = Decision.objects.create(
        item=item, person=person, verdict=verdict, key=f"key {next(_numbers)}",
        supersedes=supersedes, at=timezone.now(),
    )  # fmt: skip
    pool_follow_decision(decision)
    return decision


def entry_of(item: ReviewItem) -> PoolEntry:
    """Return the pool entry of the only image of an item's part."""
    return PoolEntry.objects.get(image__part=item.part)


def add_normal(view: View, *, data: bytes = b"", lot: str = "", **fields: Any) -> PoolEntry:
    """Return a verified normal."""
    part = factories.make_part(view.product, lot=lot)
    image = factories.make_image(
        view, part, data=data, state=Image.State.COLLECTED, capture_key=f"shot {next(_numbers)}"
    )
    defaults: dict[str, Any] = {
        "state": PoolEntry.State.VERIFIED,
        "may_calibrate": True,
        "changed_at": timezone.now(),
    }
    return PoolEntry.objects.create(image=image, view=view, **(defaults | fields))


def add_normals(view: View, count: int, **fields: Any) -> list[PoolEntry]:
    """Return that many verified normals with real, small pictures."""
    made = []
    for _ in range(count):
        data = images.good_png(next(_numbers))
        made.append(add_normal(view, data=data, **fields))
    return made


def add_mask(seed: int) -> str:
    """Return the sha256 of the mask of ``images.good_png(seed, defect=True)``."""
    mask = images.spot_mask(seed).astype("uint8") * 255
    return blob_put(images.encode(mask)).sha256


def make_run(view: View, **fields: Any) -> Run:
    """Return a queued run of a snapshot of what is verified now."""
    number = next(_numbers)
    snapshot = Snapshot.objects.create(
        view=view, fingerprint=hashlib.sha256(f"{number}".encode()).hexdigest(), image_count=0
    )
    defaults: dict[str, Any] = {
        "snapshot": snapshot,
        "trigger": Run.Trigger.BUTTON,
        "queued_at": timezone.now(),
    }
    return Run.objects.create(view=view, **(defaults | fields))
