"""The shift page: who may open it, what it says with 0, 1 and many parts, what it costs."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from inspection.models import Image, Person, View
from review.services.decisions import decision_record
from review.services.leases import item_lease_next
from review.views.figures import plotly_url
from tests import factories
from tests.conftest import client_of

pytestmark = pytest.mark.django_db


def page_of(person: Person, query: str = "") -> tuple[Any, str]:
    response = client_of(person).get(reverse("review:shift") + query)
    assert response.status_code == 200
    return response.context, response.content.decode()


def figures_in(text: str) -> dict[str, Any]:
    found = re.findall(r'<script id="(figure-\w+)" type="application/json">(.*?)</script>', text)
    return {name: json.loads(data) for name, data in found}


def test_operators_and_outsiders_do_not_open_it(operator: Person, outsider: Person) -> None:
    for person in (operator, outsider):
        assert client_of(person).get(reverse("review:shift")).status_code == 403


def test_with_nothing_seen_it_says_so(supervisor: Person) -> None:
    context, text = page_of(supervisor)
    assert "No part was routed in this window." in text
    assert context["numbers"].seen == 0
    assert "plotly" not in text


def test_with_one_part(view: View, supervisor: Person) -> None:
    factories.make_routed(view)
    _, text = page_of(supervisor)
    assert "1 part seen, 1 flagged (100 %)." in text
    assert "too few audits to tell" in text
    assert "Drawn from 30 scores" in text
    assert "figure-histogram" not in figures_in(text)


def test_every_figure_adds_up_to_its_numbers(
    view: View, operator: Person, supervisor: Person
) -> None:
    for number in range(40):
        factories.make_routed(view, "review" if number % 4 == 0 else "pass", value=1 + number / 20)
    (first, second, *_) = item_lease_next(person=operator, count=10)
    decision_record(person=operator, item_id=first, verdict="defect", key="a")
    decision_record(person=operator, item_id=second, verdict="good", key="b")
    audit = factories.make_review_item(view, audit=True)
    item_lease_next(person=operator, first=audit.pk)
    decision_record(person=operator, item_id=audit.pk, verdict="defect", key="c")
    context, text = page_of(supervisor)
    figures = figures_in(text)
    parts, flags = (
        [sum(trace["y"]) for trace in figures["figure-flow"]["data"] if trace["yaxis"] == axis]
        for axis in ("y", "y2")
    )
    assert (sum(parts), sum(flags)) == (41, 10)
    answers = [sum(trace["y"]) for trace in figures["figure-answers"]["data"]]
    assert answers == [1, -1]
    audits, misses = figures["figure-audits"]["data"]
    assert (sum(audits["y"]), sum(misses["y"])) == (1, 1)
    assert sum(figures["figure-histogram"]["data"][0]["y"]) == 41
    assert figures["figure-backlog"]["data"][0]["y"][-1] == context["waiting"].count == 8
    assert "41 parts seen, 10 flagged (24 %)." in text


def test_the_window_is_the_sites_day(view: View, supervisor: Person) -> None:
    factories.make_routed(view, at=timezone.now() - timedelta(days=3))
    assert page_of(supervisor, "?window=today")[0]["numbers"].seen == 0
    assert page_of(supervisor, "?window=7")[0]["numbers"].seen == 1
    day = (timezone.now() - timedelta(days=4)).date().isoformat()
    assert page_of(supervisor, f"?from={day}&to={day}")[0]["numbers"].seen == 0


def test_imported_pictures_are_not_parts_without_an_outcome(view: View, supervisor: Person) -> None:
    factories.make_image(view, state=Image.State.COLLECTED)
    assert "without an outcome" not in page_of(supervisor)[1]
    factories.make_job(factories.make_image(view))
    context, text = page_of(supervisor)
    assert context["unrouted"] == 1
    assert "<b>1</b> part of this window without an outcome yet" in text


@pytest.mark.parametrize("query", ["?product=x", "?line=99999999999999999999", "?from=%00&view=-1"])
def test_nonsense_in_the_address_counts_as_not_given(supervisor: Person, query: str) -> None:
    assert page_of(supervisor, query)[0]["window"].name == "today"


def test_the_page_carries_no_script_of_its_own(view: View, supervisor: Person) -> None:
    factories.make_routed(view)
    _, text = page_of(supervisor)
    inline = re.findall(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)[^>]*>", text)
    assert inline == []
    assert plotly_url() in text


def test_queries_are_constant(
    view: View, supervisor: Person, django_assert_max_num_queries: Any
) -> None:
    for number in range(60):
        factories.make_routed(view, "review" if number % 2 else "pass", value=1 + number / 20)
    client = client_of(supervisor)
    with django_assert_max_num_queries(34):
        client.get(reverse("review:shift"))


def test_plotly_comes_from_the_wheel_and_stays_cached(supervisor: Person) -> None:
    client = client_of(supervisor)
    plain = client.get(plotly_url())
    assert plain.status_code == 200
    assert "immutable" in plain.headers["Cache-Control"]
    assert b"plotly.js" in plain.content[:300]
    packed = client.get(plotly_url(), headers={"accept-encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert len(packed.content) < len(plain.content) / 2
    assert client.get("/figures/plotly-0.0.0.min.js").status_code == 404


def test_the_counts_lead_to_lists_of_just_these_parts(
    view: View, operator: Person, supervisor: Person
) -> None:
    for outcome in ("review", "review", "reject", "pass"):
        factories.make_routed(view, outcome)
    factories.make_review_item(view, audit=True)
    for number, item in enumerate(item_lease_next(person=operator, count=10)):
        verdict = "defect" if number % 2 else "good"
        decision_record(person=operator, item_id=item, verdict=verdict, key=str(number))
    client = client_of(supervisor)
    facts = {fact["label"]: fact for fact in page_of(supervisor)[0]["facts"]}
    linked = ("parts seen", "defects confirmed", "false alarms", "audits answered", "misses found")
    assert facts["defects confirmed"]["count"] + facts["false alarms"]["count"] == 3
    for label in linked:
        response = client.get(facts[label]["url"])
        assert response.status_code == 200
        assert response.context["page_obj"].paginator.count == facts[label]["count"], label
