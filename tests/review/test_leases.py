"""Leases: the order of the queue, one item for one person, leases that end by themselves."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from inspection.errors import ConflictError, NotFoundError
from inspection.models import Person, Role, View
from review.models import ReviewItem
from review.selectors.queue import QueueFilter, waiting_items
from review.services.items import item_follow_up
from review.services.leases import item_defer, item_lease_next, item_release, item_renew
from tests import factories

pytestmark = pytest.mark.django_db


def expire(item_id: int) -> None:
    ReviewItem.objects.filter(pk=item_id).update(lease_until=timezone.now() - timedelta(seconds=1))


def test_the_order_is_priority_then_age(view: View, operator: Person) -> None:
    young = factories.make_review_item(view, value=3.9, at=factories.minutes_ago(1))
    old = factories.make_review_item(view, value=3.9, at=factories.minutes_ago(9))
    low = factories.make_review_item(view, value=2.6, at=factories.minutes_ago(90))
    assert item_lease_next(person=operator, count=3) == [old.pk, young.pk, low.pk]


def test_two_people_never_get_the_same(view: View, operator: Person, colleague: Person) -> None:
    for _ in range(4):
        factories.make_review_item(view)
    one = item_lease_next(person=operator, count=3)
    other = item_lease_next(person=colleague, count=3)
    assert len(one) == 3
    assert len(other) == 1
    assert not set(one) & set(other)


def test_what_the_page_holds_is_not_given_again(view: View, operator: Person) -> None:
    wanted = {factories.make_review_item(view).pk for _ in range(3)}
    first = item_lease_next(person=operator, count=1)
    rest = item_lease_next(person=operator, count=5, holding=first)
    assert {*first, *rest} == wanted
    assert not set(first) & set(rest)


def test_a_reloaded_page_gets_its_own_items_back(view: View, operator: Person) -> None:
    factories.make_review_item(view)
    first = item_lease_next(person=operator, count=1)
    assert item_lease_next(person=operator, count=1) == first


def test_a_lease_that_ran_out_frees_itself(view: View, operator: Person, colleague: Person) -> None:
    item = factories.make_review_item(view)
    item_lease_next(person=operator)
    assert item_lease_next(person=colleague) == []
    expire(item.pk)
    assert item_lease_next(person=colleague) == [item.pk]
    with pytest.raises(ConflictError) as refusal:
        item_renew(person=operator, item_id=item.pk)
    assert refusal.value.extra["by"] == "colleague"


def test_a_picked_item_comes_first(view: View, operator: Person) -> None:
    factories.make_review_item(view, value=3.9)
    picked = factories.make_review_item(view, value=2.6)
    assert item_lease_next(person=operator, count=2, first=picked.pk)[0] == picked.pk


def test_a_picked_item_in_use_is_not_taken_away(
    view: View, operator: Person, colleague: Person
) -> None:
    picked = factories.make_review_item(view)
    item_lease_next(person=colleague)
    assert item_lease_next(person=operator, first=picked.pk) == []


def test_filters_stay_within_product_and_station(operator: Person, view: View) -> None:
    mine = factories.make_review_item(view)
    other = factories.make_review_item()
    chosen = QueueFilter(product=mine.product_id, station=view.station_id)
    assert item_lease_next(person=operator, chosen=chosen) == [mine.pk]
    assert item_lease_next(person=operator, chosen=QueueFilter(product=other.product_id)) == [
        other.pk
    ]


def test_an_outsider_and_another_lines_operator_get_nothing(view: View, outsider: Person) -> None:
    item = factories.make_review_item(view)
    elsewhere = factories.make_person("", Role.OPERATOR, line=factories.make_line("Line 9"))
    assert item_lease_next(person=outsider) == []
    assert item_lease_next(person=elsewhere) == []
    with pytest.raises(NotFoundError):
        item_renew(person=elsewhere, item_id=item.pk)


def test_renewing_moves_the_end_and_releasing_frees(
    view: View, operator: Person, colleague: Person
) -> None:
    item = factories.make_review_item(view)
    item_lease_next(person=operator)
    expire(item.pk)
    assert item_renew(person=operator, item_id=item.pk) > timezone.now()
    item_release(person=operator, item_id=item.pk)
    item_release(person=operator, item_id=item.pk)
    assert item_lease_next(person=colleague) == [item.pk]


def test_releasing_does_not_touch_somebody_elses(
    view: View, operator: Person, colleague: Person
) -> None:
    item = factories.make_review_item(view)
    item_lease_next(person=colleague)
    item_release(person=operator, item_id=item.pk)
    item.refresh_from_db()
    assert item.leased_by == colleague


@pytest.mark.parametrize("audit", [False, True])
def test_a_deferred_item_goes_to_another_person(
    view: View, operator: Person, colleague: Person, audit: bool
) -> None:
    item = factories.make_review_item(view, audit=audit)
    item_lease_next(person=operator)
    item_defer(person=operator, item_id=item.pk)
    assert item_lease_next(person=operator) == []
    assert not waiting_items(operator).exists()
    assert item_lease_next(person=colleague) == [item.pk]


@pytest.mark.parametrize("audit", [False, True])
def test_with_nobody_else_a_deferred_item_comes_back_last(
    view: View, operator: Person, audit: bool
) -> None:
    first = factories.make_review_item(view, audit=audit)
    second = factories.make_review_item(view)
    item_lease_next(person=operator, count=1, first=first.pk)
    item_defer(person=operator, item_id=first.pk)
    assert item_lease_next(person=operator, count=2) == [second.pk, first.pk]


def test_deferring_what_one_does_not_have_is_refused(view: View, operator: Person) -> None:
    item = factories.make_review_item(view)
    with pytest.raises(ConflictError):
        item_defer(person=operator, item_id=item.pk)


def test_a_follow_up_never_goes_to_the_one_it_is_not_for(
    view: View, operator: Person, colleague: Person
) -> None:
    item = factories.make_review_item(view)
    ReviewItem.objects.filter(pk=item.pk).update(state="withdrawn")
    again = item_follow_up(item=item, not_for={operator.pk})
    assert item_lease_next(person=operator) == []
    assert item_lease_next(person=colleague) == [again.pk]
    assert (again.priority, again.waiting_since) == (item.priority, item.waiting_since)


@pytest.mark.django_db(transaction=True)
def test_many_people_at_once_share_nothing(view: View) -> None:
    for _ in range(12):
        factories.make_review_item(view)
    people = [factories.make_person("", Role.OPERATOR) for _ in range(4)]
    taken: list[int] = []
    start = threading.Barrier(len(people))

    def take(person: Person) -> None:
        start.wait()
        try:
            taken.extend(item_lease_next(person=person, count=4))
        finally:
            connection.close()

    threads = [threading.Thread(target=take, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 12


def test_leasing_costs_the_same_for_many(
    view: View, operator: Person, django_assert_max_num_queries: object
) -> None:
    for _ in range(40):
        factories.make_review_item(view)
    with django_assert_max_num_queries(10):  # type: ignore[operator]
        assert len(item_lease_next(person=operator, count=3)) == 3
