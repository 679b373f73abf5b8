"""Before the first look nothing that a person who can decide receives tells a flag from an audit.

Two parts alike but for what the model said of them are put side by side; pages and answers are
compared field by field, and searched for every number and word of the model.
"""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from inspection.models import Person, Role, Score, View
from review.models import ReviewItem
from review.services.items import Priority
from tests import factories
from tests.conftest import client_of

pytestmark = pytest.mark.django_db

# Numbers that occur nowhere else: found in a body, they can only come from the model's word.
FLAG_SCORE, AUDIT_SCORE = 3.7777123, 1.2222456
FLAG_SURPRISE, AUDIT_SURPRISE = 0.0111789, 0.6666321
REVIEW_FROM, REJECT_FROM = 2.5555987, 8.8888654
PIXEL_THRESHOLD, HEAT_TOP = 2.1111357, 6.4444246
PROBABILITY = 0.0833377
TELLING_WORDS = [
    *("score", "surprise", "outcome", "reason", "flagged", "audit", "heat_url", "region"),
    *("threshold", "seeded", "second opinion", "reject_from", "is_blind"),
]

SEEN_AT = timezone.now() - timedelta(hours=2)


@pytest.fixture
def pair() -> tuple[ReviewItem, ReviewItem]:
    """Return a flag and an audit of the same product, seen at the same moment."""
    view = factories.make_view(station=factories.make_station(), mm_per_pixel=0.1)
    version = factories.make_version(view, pixel_threshold=PIXEL_THRESHOLD, heat_top=HEAT_TOP)
    factories.make_threshold(version, review_from=REVIEW_FROM, reject_from=REJECT_FROM)
    flag = item_of(view, "review", FLAG_SCORE, FLAG_SURPRISE, reasons=[
        {"code": "flagged", "message": f"score {FLAG_SCORE} reached review_from {REVIEW_FROM}"}
    ])  # fmt: skip
    audit = item_of(
        view, "pass", AUDIT_SCORE, AUDIT_SURPRISE, is_audit=True, audit_probability=PROBABILITY
    )
    ReviewItem.objects.update(priority=Priority.SOON, waiting_since=SEEN_AT)
    return flag, audit


def item_of(view: View, outcome: str, value: float, surprise: float, **fields: Any) -> ReviewItem:
    routing = factories.make_routed(view, outcome, value=value, at=SEEN_AT, **fields)
    Score.objects.filter(routings=routing).update(
        surprise=surprise,
        regions=[
            {"area_px": 41, "box_xyxy": [1, 2, 9, 9], "peak": value, "mean": 3, "peak_xy": []}
        ],
    )
    part = routing.part
    part.first_seen_at = SEEN_AT
    part.save(update_fields=["first_seen_at"])
    return routing.review_items.get()


def visit(person: Person, kind: str, item: ReviewItem) -> str:
    """Return the body of a page or answer about one item, as the person gets it."""
    client: Client = client_of(person)
    pages: dict[str, Callable[[], Any]] = {
        "station": lambda: client.get(reverse("review:station") + f"?item={item.pk}"),
        "queue": lambda: client.get(reverse("review:queue")),
        "next": lambda: client.post(
            reverse("review-next"), {"item": item.pk, "count": 1}, content_type="application/json"
        ),
        "renew": lambda: client.post(reverse("review-renew", args=[item.pk])),
        "recent": lambda: client.get(reverse("review-recent")),
    }
    response = pages[kind]()
    assert response.status_code == 200, response.content
    return str(response.content.decode())


def neutral(text: str, item: ReviewItem) -> str:
    """Take out what differs between any two parts: their numbers, serial, tokens, clock."""
    text = text.replace(item.part.serial, "SERIAL")
    text = re.sub(r'value="\w{64}"|CSRFToken": "\w+', "TOKEN", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00", "TIME", text)
    text = re.sub(r'waited_s": ?\d+', "WAITED", text)
    image = item.part.images.get()
    text = re.sub(rf"images/{image.pk}/", "images/N/", text)
    text = re.sub(rf'"id": ?({image.pk}|{item.pk}),"(view|serial)', r'ID,"\2', text)
    return re.sub(rf"item[^0-9]{{1,3}}{item.pk}\b", "item=N", text)


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("kind", ["station", "next", "renew", "recent"])
def test_a_flag_and_an_audit_read_alike(
    pair: tuple[ReviewItem, ReviewItem], kind: str, role: Role
) -> None:
    bodies = []
    for item in pair:
        ReviewItem.objects.update(leased_by=None, lease_until=None)
        person = factories.make_person("", role)
        if kind == "renew":
            visit(person, "next", item)
        bodies.append(neutral(visit(person, kind, item), item))
        if kind == "station":
            bodies[-1] = re.sub(rf'"person": {person.pk}', "PERSON", bodies[-1])
            bodies[-1] = bodies[-1].replace(person.username, "NAME")
    flag, audit = bodies
    assert flag == audit


def test_items_are_alike_field_by_field(
    pair: tuple[ReviewItem, ReviewItem], operator: Person
) -> None:
    shown = []
    for item in pair:
        ReviewItem.objects.update(leased_by=None, lease_until=None)
        (body,) = json.loads(visit(operator, "next", item))["items"]
        assert body["id"] == item.pk
        shown.append(body)
        ReviewItem.objects.update(leased_by=None, lease_until=None)
    flag, audit = shown
    assert list(flag) == list(audit)
    own = {"id", "serial", "lease_until", "waited_s"}
    assert {key: value for key, value in flag.items() if key not in {*own, "images"}} == {
        key: value for key, value in audit.items() if key not in {*own, "images"}
    }
    for mine, other in zip(flag["images"], audit["images"], strict=True):
        assert list(mine) == list(other)
        assert {mine[key] == other[key] for key in ("view", "width", "height", "mm_per_pixel")} == {
            True
        }


def test_the_cards_of_the_queue_are_alike(
    pair: tuple[ReviewItem, ReviewItem], operator: Person
) -> None:
    text = visit(operator, "queue", pair[0])
    cards = re.findall(r'<a class="thumb-card".*?</a>', text, re.DOTALL)
    assert len(cards) == 2
    by_serial = {item.part.serial: item for item in pair}
    alike = set()
    for card in cards:
        item = next(item for serial, item in by_serial.items() if serial in card)
        alike.add(neutral(card, item))
    assert len(alike) == 1


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("kind", ["station", "queue", "next", "recent"])
def test_no_word_or_number_of_the_model_is_in_a_body(
    pair: tuple[ReviewItem, ReviewItem], kind: str, role: Role
) -> None:
    person = factories.make_person("", role)
    for item in pair:
        ReviewItem.objects.update(leased_by=None, lease_until=None)
        body = visit(person, kind, item)
        for number in (FLAG_SCORE, AUDIT_SCORE, FLAG_SURPRISE, AUDIT_SURPRISE, REVIEW_FROM):
            assert str(number)[:5] not in body
        for number in (REJECT_FROM, PIXEL_THRESHOLD, HEAT_TOP, PROBABILITY):
            assert str(number)[:5] not in body
        data = body
        if kind in ("station", "queue"):
            # Of a page, what it carries of parts: its standing words are the same for all.
            data = " ".join(re.findall(r"<script[^>]*json[^>]*>.*?</script>|thumb-card.*?</li>",
                                       body, re.DOTALL))  # fmt: skip
        for word in TELLING_WORDS:
            assert word not in data.lower(), word


def test_neither_order_nor_counts_tell(
    pair: tuple[ReviewItem, ReviewItem], operator: Person
) -> None:
    flag, audit = pair
    client = client_of(operator)
    counts = []
    for item in pair:
        ReviewItem.objects.exclude(pk=item.pk).update(state="withdrawn")
        page = client.get(reverse("review:queue")).context
        counts.append([tab["count"] for tab in page["tabs"]] + [page["total"]])
        ReviewItem.objects.update(state="waiting")
    assert counts[0] == counts[1]
    for first, second in ((flag, audit), (audit, flag)):
        ReviewItem.objects.filter(pk=first.pk).update(waiting_since=factories.minutes_ago(9e6))
        items = client.get(reverse("review:queue")).context["items"]
        assert [item["id"] for item in items] == [first.pk, second.pk]
        ReviewItem.objects.update(waiting_since=SEEN_AT)


def test_what_the_model_says_stays_shut_before_the_look(
    pair: tuple[ReviewItem, ReviewItem], operator: Person
) -> None:
    client = client_of(operator)
    answers = set()
    for item in pair:
        response = client.post(reverse("review-look", args=[item.pk]))
        answers.add((response.status_code, response.content))
    assert len(answers) == 1
    assert answers.pop()[0] == 409
