"""What the review station shows of an item before the first look, and a person's last answers.

One shape for flags and audits alike: no score, outcome, reason or kind, and no key whose presence
or value differs between them.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypedDict

from django.db.models import Prefetch
from django.urls import reverse
from django.utils import timezone

from inspection.models import DefectType, Image, Part, Person
from review.models import Decision, ReviewItem
from review.selectors.queue import items_of

UNDO_WITHIN = timedelta(hours=12)  # one shift with its hand-over; later a new round is the way
RECENT = 12  # as many as the strip under the picture holds


class DefectTypeRecord(TypedDict):
    """A defect type and the digit that answers it."""

    id: int
    name: str
    key: int | None


class ImageRecord(TypedDict):
    """One picture of the part, raw."""

    id: int
    view: str
    width: int
    height: int
    mm_per_pixel: float | None
    thumb_url: str
    preview_url: str
    original_url: str
    reference_url: str | None


class DecisionRecord(TypedDict):
    """A person's answer."""

    id: int
    verdict: str
    defect_types: list[str]
    note: str
    at: str


class ItemRecord(TypedDict):
    """A part to review, before the first look."""

    id: int
    serial: str
    lot: str
    product: dict[str, Any]
    line: str
    station: str
    seen_at: str
    waited_s: int
    priority: str
    lease_until: str | None
    overlay_first: bool
    defect_types: list[DefectTypeRecord]
    images: list[ImageRecord]
    previous_decision: DecisionRecord | None


def image_url(name: str, image_id: int) -> str:
    """Return the address of an image's thumbnail, preview or original."""
    return reverse(f"image-{name}", args=[image_id])


def station_items(person: Person, item_ids: Sequence[int]) -> list[ItemRecord]:
    """Return items for the station, in the order of the ids; a constant number of queries."""
    items = (
        items_of(person)
        .filter(pk__in=list(item_ids))
        .select_related("part", "product", "line", "station", "routing")
        .prefetch_related(
            Prefetch("part__images", queryset=Image.objects.select_related("view")),
            Prefetch("product__defect_types", queryset=DefectType.objects.order_by("key", "name")),
            # The person's own answer that was undone: shown again beside the picture.
            Prefetch(
                "decisions",
                queryset=Decision.objects.filter(person=person, superseded_by__isnull=False)
                .order_by("-id")
                .prefetch_related("defect_types"),
                to_attr="undone_decisions",
            ),
        )
    )
    by_id = {item.pk: item for item in items}
    return [_item_record(by_id[pk]) for pk in item_ids if pk in by_id]


def recent_decisions(person: Person) -> list[dict[str, Any]]:
    """Return the person's last answers that count, newest first."""
    now = timezone.now()
    decisions = (
        Decision.objects.filter(person=person, superseded_by__isnull=True)
        .exclude(verdict=Decision.Verdict.UNDONE)
        .select_related("item__part", "item__routing")
        .prefetch_related("defect_types", "item__part__images__view")
        .order_by("-at", "-id")[:RECENT]
    )
    found = []
    for decision in decisions:
        images = ordered_images(decision.item.part, decision.item.routing.round)
        found.append(
            {
                "id": decision.pk,
                "item_id": decision.item_id,
                "serial": decision.item.part.serial,
                "thumb_url": image_url("thumbnail", images[0].pk) if images else None,
                "verdict": decision.verdict,
                "defect_types": [kind.name for kind in decision.defect_types.all()],
                "at": decision.at.isoformat(),
                "undoable": now - decision.at <= UNDO_WITHIN,
            }
        )
    return found


def decision_record_of(decision: Decision) -> DecisionRecord:
    """Return a decision as the station shows it."""
    return {
        "id": decision.pk,
        "verdict": decision.verdict,
        "defect_types": [kind.name for kind in decision.defect_types.all()],
        "note": decision.note,
        "at": decision.at.isoformat(),
    }


def ordered_images(part: Part, part_round: int) -> list[Image]:
    """Return the images of one round of a part, first view first (from the prefetch)."""
    images = [image for image in part.images.all() if image.round == part_round]
    return sorted(images, key=lambda image: (image.view.rank, image.view.name, image.pk))


def _item_record(item: ReviewItem) -> ItemRecord:
    part = item.part
    undone: list[Decision] = item.undone_decisions  # type: ignore[attr-defined]
    waited = timezone.now() - item.waiting_since
    return {
        "id": item.pk,
        "serial": part.serial,
        "lot": part.lot,
        "product": {"id": item.product_id, "name": item.product.name},
        "line": item.line.name,
        "station": item.station.name if item.station is not None else "",
        "seen_at": part.first_seen_at.isoformat(),
        "waited_s": max(0, int(waited.total_seconds())),
        "priority": ReviewItem.Priority(item.priority).label,
        "lease_until": item.lease_until.isoformat() if item.lease_until else None,
        "overlay_first": not item.is_blind,
        "defect_types": [
            {"id": kind.pk, "name": kind.name, "key": kind.key}
            for kind in item.product.defect_types.all()
        ],
        "images": [_image_record(image) for image in ordered_images(part, item.routing.round)],
        "previous_decision": decision_record_of(undone[0]) if undone else None,
    }


def _image_record(image: Image) -> ImageRecord:
    reference = image.view.reference_image_id
    return {
        "id": image.pk,
        "view": image.view.name,
        "width": image.width,
        "height": image.height,
        "mm_per_pixel": image.view.mm_per_pixel,
        "thumb_url": image_url("thumbnail", image.pk),
        "preview_url": image_url("preview", image.pk),
        "original_url": image_url("original", image.pk),
        "reference_url": image_url("preview", reference) if reference else None,
    }
