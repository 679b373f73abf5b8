"""The list of parts and a part's page: filters, pages, hold, and blindness."""

import re
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.utils import timezone

from inspection.models import Image, Part, Person, Role, ScoringJob, View
from review.models import Decision, Look
from tests import factories
from tests.conftest import client_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def view() -> View:
    view = factories.make_view(factories.make_product("Flange ring"))
    factories.make_version(view)
    return view


def routed(view: View, outcome: str, serial: str, *, is_open: bool = False) -> Part:
    image = factories.make_image(view, factories.make_part(view.product, serial))
    score = factories.make_score(image, view.versions.get(), 3.4567)
    reasons = [{"code": "flagged", "message": "score over the threshold"}]
    routing = factories.make_routing(image.part, outcome, reasons=reasons, worst_score=score)
    routing.scores.add(score)
    if is_open:
        factories.make_open_item(routing)
    return image.part


def main(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return response.content.decode().split("<main", 1)[1]


def rows(client: Client, query: str = "") -> list[str]:
    found = main(client, f"/parts/{query}")
    return re.findall(r'/parts/\d+/">([^<]+)</a>', found)


def test_filters(supervisor: Person, view: View) -> None:
    client = client_of(supervisor)
    routed(view, "pass", "A1")
    good = routed(view, "review", "B2")
    Part.objects.filter(pk=good.pk).update(verdict="good", lot="L7")
    routed(view, "no verdict", "C3")
    factories.make_job(factories.make_image(view, factories.make_part(view.product, "D4")))
    held = routed(view, "pass", "E5")
    Part.objects.filter(pk=held.pk).update(held_at=timezone.now(), held_by=supervisor)
    other = factories.make_view(factories.make_product("Other"))
    factories.make_job(factories.make_image(other, factories.make_part(other.product, "F6")))
    assert rows(client) == ["F6", "E5", "D4", "C3", "B2", "A1"]
    assert rows(client, "?state=pass") == ["E5", "A1"]
    assert rows(client, "?state=good") == ["B2"]
    assert rows(client, "?state=no-verdict") == ["C3"]
    assert rows(client, "?state=waiting") == ["F6", "D4"]
    assert rows(client, "?state=held") == ["E5"]
    assert rows(client, f"?product={other.product_id}") == ["F6"]
    assert rows(client, "?q=a1") == ["A1"]
    assert rows(client, "?q=L7") == ["B2"]
    assert rows(client, "?line=9999&product=x&state=odd&page=77") == []


def test_an_imported_part_waits_for_nothing(supervisor: Person, view: View) -> None:
    client = client_of(supervisor)
    normal = factories.make_image(view, state=Image.State.COLLECTED).part
    early = factories.make_image(view, state=Image.State.COLLECTED)
    factories.make_job(early, state=ScoringJob.State.COLLECTED)
    late = factories.make_image(view)
    factories.make_job(late)
    assert rows(client, "?state=imported") == [normal.serial]
    assert rows(client, "?state=waiting") == [late.part.serial, early.part.serial]
    assert "imported" in main(client, f"/parts/{normal.pk}/")
    assert "waiting for its score" in main(client, f"/parts/{late.part_id}/")
    assert "collected" in main(client, f"/parts/{early.part_id}/")


def test_days_are_the_sites(supervisor: Person, view: View) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    for serial, at in [
        ("before", datetime(2026, 11, 22, 23, 59, tzinfo=berlin)),
        ("first", datetime(2026, 11, 23, 0, 0, tzinfo=berlin)),
        ("last", datetime(2026, 11, 24, 23, 59, tzinfo=berlin)),
        ("after", datetime(2026, 11, 25, 0, 0, tzinfo=berlin)),
    ]:
        factories.make_part(view.product, serial, first_seen_at=at)
    assert rows(client_of(supervisor), "?from=2026-11-23&to=2026-11-24") == ["last", "first"]
    assert len(rows(client_of(supervisor), "?from=soon")) == 4


def test_many_parts_come_in_pages(supervisor: Person, view: View) -> None:
    client = client_of(supervisor)
    for number in range(60):
        factories.make_part(view.product, f"R{number:03d}")
    assert len(rows(client)) == 50
    assert len(rows(client, "?page=2")) == 10
    assert "q=R&amp;page=2" in main(client, "/parts/?q=R")


def test_another_lines_parts_are_not_there(view: View) -> None:
    part = routed(view, "pass", "A1")
    person = factories.make_person("x", Role.SUPERVISOR, line=factories.make_line("Line 9"))
    assert rows(client_of(person)) == []
    assert client_of(person).get(f"/parts/{part.pk}/").status_code == 404


def test_a_part_in_review_looks_the_same_whatever_the_model_said(
    supervisor: Person, view: View
) -> None:
    client = client_of(supervisor)
    for number, outcome in enumerate(("pass", "review", "reject", "no verdict")):
        routed(view, outcome, f"X{number}", is_open=True)
    assert len(rows(client, "?state=in-review")) == 4
    for state in ("pass", "flagged", "good", "defect", "no-verdict", "waiting"):
        assert rows(client, f"?state={state}") == []
    pages = set()
    for part in Part.objects.all():
        page = main(client, f"/parts/{part.pk}/")
        page = re.sub(r'csrfmiddlewaretoken" value="[^"]+"', "", page)
        page = page.replace(part.serial, "SERIAL").replace(f"/parts/{part.pk}/", "/parts/N/")
        image = part.images.get()
        page = page.replace(f"/images/{image.pk}/", "/images/N/")
        pages.add(re.sub(r"\d\d:\d\d:\d\d", "TIME", page))
    assert len(pages) == 1
    page = pages.pop()
    assert "in review" in page
    for told in ("3.457", "threshold", "reject<", "pass<"):
        assert told not in page


def test_what_the_model_said_is_shown_to_watchers_once_nobody_is_asked(
    supervisor: Person, operator: Person, view: View
) -> None:
    part = routed(view, "review", "A1")
    page = main(client_of(supervisor), f"/parts/{part.pk}/")
    assert "3.457" in page
    assert "score over the threshold" in page
    assert "3.457" not in main(client_of(operator), f"/parts/{part.pk}/")


def test_a_score_before_its_routing_is_not_shown(supervisor: Person, view: View) -> None:
    image = factories.make_image(view)
    factories.make_job(image)
    factories.make_score(image, view.versions.get(), 3.4567)
    page = main(client_of(supervisor), f"/parts/{image.part_id}/")
    assert "3.457" not in page
    assert "waiting for its score" in page


def test_who_looked_sees_it_and_what_was_said(
    supervisor: Person, operator: Person, view: View
) -> None:
    part = routed(view, "review", "A1", is_open=True)
    item = part.review_items.get()
    Decision.objects.create(
        item=item, person=operator, verdict="unsure", note="hard to tell", key="1",
        at=timezone.now(),
    )  # fmt: skip
    closed = main(client_of(supervisor), f"/parts/{part.pk}/")
    assert "hard to tell" not in closed
    Look.objects.create(item=item, person=supervisor, at=timezone.now())
    seen = main(client_of(supervisor), f"/parts/{part.pk}/")
    assert "hard to tell" in seen
    assert "3.457" in seen


def test_hold_and_release_by_page(operator: Person, supervisor: Person, view: View) -> None:
    part = routed(view, "pass", "A1")
    url = f"/parts/{part.pk}/"
    client = client_of(operator)
    assert "required" in client.post(url + "hold", {"reason": ""}).content.decode()
    assert client.post(url + "hold", {"reason": "oil"})["Location"] == url
    assert "oil" in main(client, url)
    assert client.post(url + "release").status_code == 403
    assert client.get(url + "hold").status_code == 405
    assert client_of(supervisor).post(url + "release")["Location"] == url
    assert client_of(supervisor).post(url + "release").status_code == 409
    part.refresh_from_db()
    assert part.held_at is None


def test_a_list_costs_the_same_with_many_rows(
    supervisor: Person, view: View, django_assert_max_num_queries: Any
) -> None:
    client = client_of(supervisor)
    for number in range(30):
        routed(view, "pass", f"R{number}", is_open=number % 2 == 0)
    with django_assert_max_num_queries(15):
        assert len(rows(client)) == 30
