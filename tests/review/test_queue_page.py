"""The queue page and the station's frame: counts under filters, paging, nothing that tells."""

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from inspection.models import Person, View
from review.models import ReviewItem
from review.services.leases import item_defer, item_lease_next
from tests import factories
from tests.conftest import client_of

pytestmark = pytest.mark.django_db


def context_of(person: Person, query: str = "") -> Any:
    response = client_of(person).get(reverse("review:queue") + query)
    assert response.status_code == 200
    return response.context


def copies(item: ReviewItem, count: int) -> None:
    """Make many more waiting items of the same part: rows are what the page must bear."""
    ReviewItem.objects.bulk_create(
        ReviewItem(
            part_id=item.part_id,
            routing_id=item.routing_id,
            product_id=item.product_id,
            line_id=item.line_id,
            station_id=item.station_id,
            reason=item.reason,
            round=number + 2,
            priority=1 + number % 3,
            waiting_since=timezone.now() - timedelta(minutes=number % 40),
        )
        for number in range(count)
    )


def test_an_empty_queue_says_so(operator: Person) -> None:
    response = client_of(operator).get(reverse("review:queue"))
    assert b"Nothing is waiting" in response.content
    assert response.context["total"] == 0


def test_outsiders_are_kept_out(outsider: Person) -> None:
    for name in ("queue", "station"):
        assert client_of(outsider).get(reverse(f"review:{name}")).status_code == 403


def test_every_count_is_what_its_click_shows(
    view: View, operator: Person, colleague: Person
) -> None:
    other = factories.make_view(station=factories.make_station(name="2C"))
    factories.make_threshold(factories.make_version(other))
    for value, minutes in ((2.6, 30), (3.0, 5), (3.9, 25)):
        factories.make_review_item(view, value=value, at=factories.minutes_ago(minutes))
        factories.make_review_item(other, value=value, at=factories.minutes_ago(minutes))
    deferred = factories.make_review_item(view, audit=True)
    item_lease_next(person=colleague, first=deferred.pk, count=1)
    item_defer(person=colleague, item_id=deferred.pk)
    item_lease_next(person=colleague, count=2)
    queries = ["", f"?product={view.product_id}", "?priority=1", f"?station={other.station_id}"]
    queries += [f"?product={view.product_id}&priority=3&tab=old", "?tab=in-use", "?tab=deferred"]
    for query in queries:
        context = context_of(operator, query)
        assert context["total"] == len(context["items"])
        for link in [*context["tabs"], *context["chips"]]:
            if link.get("chosen"):
                continue
            shown = client_of(operator).get(link["url"]).context
            assert link["count"] == len(shown["items"]), (query, link)


def test_one_page_holds_48_and_the_next_comes_by_htmx(view: View, operator: Person) -> None:
    copies(factories.make_review_item(view), 60)
    client = client_of(operator)
    first = client.get(reverse("review:queue"))
    assert (len(first.context["items"]), first.context["shown"]) == (48, 48)
    assert first.context["total"] == 61
    rest = client.get(first.context["next_page_url"], headers={"hx-request": "true"})
    assert "review/queue.html" not in [template.name for template in rest.templates]
    assert len(rest.context["items"]) == 13
    assert rest.context["next_page_url"] is None
    seen = {item["id"] for page in (first, rest) for item in page.context["items"]}
    assert len(seen) == 61


def test_who_has_a_part_open_is_shown_to_others_only(
    view: View, operator: Person, colleague: Person
) -> None:
    item = factories.make_review_item(view)
    item_lease_next(person=colleague)
    assert context_of(operator)["items"][0]["in_use_by"] == "colleague"
    assert context_of(colleague)["items"][0]["in_use_by"] is None
    ReviewItem.objects.filter(pk=item.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert context_of(operator)["items"][0]["in_use_by"] is None


def test_the_queue_costs_the_same_at_10_and_at_2000(
    view: View, operator: Person, django_assert_max_num_queries: Any
) -> None:
    copies(factories.make_review_item(view), 9)
    client = client_of(operator)
    with django_assert_max_num_queries(16) as few:
        assert client.get(reverse("review:queue")).context["total"] == 10
    copies_from = ReviewItem.objects.earliest("id")
    ReviewItem.objects.filter(round__gt=1).delete()
    copies(copies_from, 1_999)
    with django_assert_max_num_queries(16) as many:
        assert client.get(reverse("review:queue")).context["total"] == 2_000
    assert len(many) == len(few)


def test_the_station_page_starts_with_the_picked_item(view: View, operator: Person) -> None:
    item = factories.make_review_item(view)
    address = context_of(operator, f"?product={view.product_id}")["items"][0]["url"]
    config = client_of(operator).get(address).context["station_config"]
    assert config["item"] == item.pk
    assert config["filters"] == {"product": view.product_id, "line": None, "station": None}
    assert config["api"]["base"] == "/api/v1/review/"
