"""Which routings become review items, with which priority."""

from collections import Counter

import pytest

from inspection.models import Station, View
from review.models import ReviewItem
from review.services import items
from tests import factories

pytestmark = pytest.mark.django_db


def priority_of(view: View, value: float) -> str:
    return factories.make_review_item(view, value=value).get_priority_display()


def test_a_passed_part_waits_for_nobody(view: View) -> None:
    assert not factories.make_routed(view, "pass", value=1.0).review_items.exists()


def test_a_part_without_a_model_is_collected_not_flagged(view: View) -> None:
    assert not factories.make_routed(view, "no verdict").review_items.exists()


@pytest.mark.parametrize("outcome", ["review", "reject"])
def test_every_flag_waits(view: View, outcome: str) -> None:
    item = factories.make_routed(view, outcome).review_items.get()
    assert (item.reason, item.state, item.round) == ("flagged", "waiting", 1)


def test_priority_grows_with_the_distance_from_review_from(view: View) -> None:
    assert priority_of(view, 2.6) == "can wait"
    assert priority_of(view, 3.0) == "soon"
    assert priority_of(view, 3.9) == "look first"


def test_priority_is_the_share_of_the_way_to_reject_from() -> None:
    view = factories.make_view()
    factories.make_threshold(factories.make_version(view), review_from=2.0, reject_from=8.0)
    assert [priority_of(view, value) for value in (3.9, 4.0, 6.0)] == [
        "can wait",
        "soon",
        "look first",
    ]


def test_a_rejected_part_comes_last_however_far_out(view: View) -> None:
    item = factories.make_routed(view, "reject", value=99.0).review_items.get()
    assert item.priority == ReviewItem.Priority.CAN_WAIT


def test_a_failed_image_is_flagged_without_a_score(view: View) -> None:
    part = factories.make_part(view.product)
    factories.make_image(view, part)
    routing = factories.make_routing(
        part, "review", reasons=[{"code": "failed", "message": "the file is cut off"}]
    )
    items.items_create_for_routing(routing)
    assert routing.review_items.get().priority == ReviewItem.Priority.SOON


def test_rejected_parts_are_sampled_at_the_policys_rate(view: View) -> None:
    view.product.policies.update(rejected_review_rate=0.0)
    assert not factories.make_routed(view, "reject").review_items.exists()


def test_audits_draw_their_priority_from_the_recent_flags(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in (2.6, 2.6, 3.9):
        factories.make_review_item(view, value=value)
    seen: list[list[int]] = []

    def first_of(spread: list[int]) -> int:
        seen.append(sorted(spread))
        return spread[0]

    monkeypatch.setattr(items._draw, "choice", first_of)
    factories.make_review_item(view, audit=True)
    assert seen == [[1, 3, 3]]


def test_audits_spread_like_flags(view: View) -> None:
    for value in [2.6] * 5 + [3.0] * 3 + [3.9] * 2:
        factories.make_review_item(view, value=value)
    drawn = Counter(items.priority_from_spread(view.product_id) for _ in range(2_000))
    # 2,000 draws: five standard deviations are 112, 103 and 90 draws.
    assert abs(drawn[3] - 1000) < 112
    assert abs(drawn[2] - 600) < 103
    assert abs(drawn[1] - 400) < 90


def test_the_station_is_the_first_views_not_the_hottest_ones() -> None:
    product = factories.make_product()
    first = Station.objects.create(line=product.line, name="2A")
    second = Station.objects.create(line=product.line, name="2B")
    face = factories.make_view(product, "face", rank=0, station=first)
    back = factories.make_view(product, "back", rank=1, station=second)
    part = factories.make_part(product)
    hot = factories.make_image(back, part, station=second)
    factories.make_image(face, part, station=first)
    score = factories.make_score(hot, factories.make_version(back), 9.0)
    routing = factories.make_routing(part, "review", worst_score=score)
    items.items_create_for_routing(routing)
    assert routing.review_items.get().station == first


def test_overlay_first_products_have_items_that_are_not_blind(view: View) -> None:
    view.product.policies.update(overlay_first=True)
    assert not factories.make_review_item(view, audit=True).is_blind


def test_a_part_that_comes_back_withdraws_what_waited(view: View) -> None:
    item = factories.make_review_item(view)
    again = factories.make_routing(item.part, "pass", round=2)
    items.items_create_for_routing(again)
    item.refresh_from_db()
    assert item.state == "withdrawn"
