"""The queue: what waits, as a grid, with filters in the address."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from inspection.access import DECIDERS, allow, person_of
from inspection.models import Person
from review.forms import number_of
from review.models import ReviewItem
from review.selectors.queue import OLD_AFTER, Group, QueueFilter, queue_groups, queue_page
from review.selectors.station import image_url, ordered_images

PAGE_SIZE = 48  # divides by 2, 3, 4, 6 and 8 columns
TABS = {"": "All waiting", "old": "Over 20 min", "deferred": "Deferred", "in-use": "In use"}
GROUPS = (("line", "line_name"), ("product", "product_name"), ("station", "station_name"))


@allow(*DECIDERS)
def queue(request: HttpRequest) -> HttpResponse:
    """Show what waits; asked by htmx, only the next page of cards."""
    person = person_of(request)
    chosen = QueueFilter(
        product=number_of(request.GET.get("product")),
        line=number_of(request.GET.get("line")),
        station=number_of(request.GET.get("station")),
        priority=number_of(request.GET.get("priority")),
    )
    tab = request.GET.get("tab", "")
    tab = tab if tab in TABS else ""
    start = number_of(request.GET.get("from")) or 0
    groups = queue_groups(person)
    total = sum(_in_tab(group, tab) for group in groups if group.matches(chosen))
    items = queue_page(person, chosen, tab=tab, start=start, size=PAGE_SIZE)
    shown = min(start + len(items), total) if items else min(start, total)
    after = _address(chosen, tab, start=start + PAGE_SIZE) if shown < total and items else None
    context: dict[str, Any] = {
        "items": [_card(item, person, chosen) for item in items],
        "total": total,
        "shown": shown,
        "next_page_url": after,
    }
    if request.headers.get("HX-Request") == "true" and start:
        return render(request, "review/queue_page.html", context)
    context |= {
        "tabs": _tabs(groups, chosen, tab),
        "chips": _chips(groups, chosen, tab),
        "is_filtered": chosen != QueueFilter() or tab != "",
        "review_url": _review_address(chosen),
    }
    return render(request, "review/queue.html", context)


def waited_words(seconds: float) -> str:
    """Return a waiting time as a card shows it."""
    if seconds < 60:
        return f"{int(seconds)} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min"
    if seconds < 48 * 3600:
        return f"{int(seconds // 3600)} h"
    return f"{int(seconds // 86400)} days"


def _card(item: ReviewItem, person: Person, chosen: QueueFilter) -> dict[str, Any]:
    now = timezone.now()
    waited = now - item.waiting_since
    in_use = item.lease_until is not None and item.lease_until > now
    other = item.leased_by if in_use and item.leased_by_id != person.pk else None
    images = ordered_images(item.part, item.part.round)
    return {
        "id": item.pk,
        "thumb_url": image_url("thumbnail", images[0].pk) if images else "",
        "priority": ReviewItem.Priority(item.priority).label,
        "waited_words": waited_words(max(0.0, waited.total_seconds())),
        "old": waited >= OLD_AFTER,
        "serial": item.part.serial,
        "station": item.station.name if item.station is not None else "",
        "in_use_by": other.display_name if other is not None else None,
        "url": _review_address(chosen, item=item.pk),
    }


def _tabs(groups: list[Group], chosen: QueueFilter, tab: str) -> list[dict[str, Any]]:
    """Return the views of the queue; each count is what its click shows."""
    matching = [group for group in groups if group.matches(chosen)]
    return [
        {
            "label": label,
            "count": sum(_in_tab(group, name) for group in matching),
            "url": _address(chosen, name),
            "active": name == tab,
        }
        for name, label in TABS.items()
    ]


def _chips(groups: list[Group], chosen: QueueFilter, tab: str) -> list[dict[str, Any]]:
    """Return the filters: chosen ones to take away, the others with what they would show."""
    chips: list[dict[str, Any]] = []
    for name, label_name in GROUPS:
        counts: dict[int, int] = {}
        labels: dict[int, str] = {}
        for group in groups:
            value = getattr(group, name)
            if value is not None and group.matches(chosen, but=name):
                counts[value] = counts.get(value, 0) + _in_tab(group, tab)
                labels[value] = getattr(group, label_name)
        chips += _chips_of(name, labels, counts, chosen, tab)
    counts = {int(rank): 0 for rank in ReviewItem.Priority}
    for group in groups:
        if group.matches(chosen, but="priority"):
            counts[group.priority] += _in_tab(group, tab)
    labels = {int(rank): str(rank.label) for rank in ReviewItem.Priority if groups}
    return chips + _chips_of("priority", labels, counts, chosen, tab)


def _chips_of(
    name: str, labels: dict[int, str], counts: dict[int, int], chosen: QueueFilter, tab: str
) -> list[dict[str, Any]]:
    now = getattr(chosen, name)
    if now is not None:
        # Nothing of it waits any more: the filter must still be there to be taken away.
        labels = {now: labels.get(now, f"{name} {now}")}
    elif len(labels) < 2:
        return []  # a choice of one is none
    return [
        {
            "group": name,
            "label": label,
            "count": counts.get(value, 0),
            "chosen": value == now,
            "url": _address(_with(chosen, name, None if value == now else value), tab),
        }
        for value, label in labels.items()
    ]


def _in_tab(group: Group, tab: str) -> int:
    return {"old": group.old, "deferred": group.deferred, "in-use": group.in_use}.get(
        tab, group.count
    )


def _with(chosen: QueueFilter, name: str, value: int | None) -> QueueFilter:
    values = {field: getattr(chosen, field) for field in ("product", "line", "station", "priority")}
    return QueueFilter(**(values | {name: value}))


def _query(chosen: QueueFilter) -> dict[str, int | str]:
    fields = ("product", "line", "station", "priority")
    return {name: getattr(chosen, name) for name in fields if getattr(chosen, name) is not None}


def _address(chosen: QueueFilter, tab: str, *, start: int = 0) -> str:
    query = _query(chosen)
    if tab:
        query["tab"] = tab
    if start:
        query["from"] = start
    return reverse("review:queue") + (f"?{urlencode(query)}" if query else "")


def _review_address(chosen: QueueFilter, *, item: int | None = None) -> str:
    query = _query(chosen)
    query.pop("priority", None)  # the station goes by priority anyway
    if item is not None:
        query["item"] = item
    return reverse("review:station") + (f"?{urlencode(query)}" if query else "")
