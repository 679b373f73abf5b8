"""Outcome, hold and release of a part, and the messages of a line."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from inspection.models import Image, Outbox, Part, Person, Role, View
from tests import factories
from tests.conftest import client_of

pytestmark = pytest.mark.django_db
FLAGGED = [{"code": "flagged", "message": "odd"}]


@pytest.fixture
def view() -> View:
    return factories.make_view(factories.make_product("Flange ring"))


@pytest.fixture
def controller(view: View) -> Client:
    factories.make_token("slk_test", "line:read", line=view.product.line)
    return Client(HTTP_AUTHORIZATION="Bearer slk_test")


def routed(view: View, outcome: str, serial: str = "R1", *, scored: bool = True) -> Part:
    image = factories.make_image(view, factories.make_part(view.product, serial))
    if scored:
        factories.make_score(image, factories.make_version(view, serve=False))
    factories.make_routing(image.part, outcome, reasons=FLAGGED)
    return image.part


def get(client: Client, path: str = "parts/R1") -> Any:
    response = client.get(f"/api/v1/{path}")
    assert response.status_code == 200, response.content
    return response.json()


@pytest.mark.parametrize("outcome", ["pass", "review", "reject", "no verdict"])
def test_the_line_is_told_the_outcome(controller: Client, view: View, outcome: str) -> None:
    part = routed(view, outcome)
    status = get(controller)
    assert (status["outcome"], status["machine_outcome"]) == (outcome, outcome)
    assert (status["id"], status["serial"], status["held"]) == (part.pk, "R1", False)
    assert status["product"] == {"id": view.product_id, "name": "Flange ring"}


def test_a_part_that_is_not_routed_has_no_verdict(controller: Client, view: View) -> None:
    factories.make_image(view, factories.make_part(view.product, "R1"))
    assert get(controller)["outcome"] == "no verdict"


def test_a_passed_part_with_an_unscored_image_has_no_verdict(
    controller: Client, view: View
) -> None:
    part = routed(view, "pass")
    factories.make_image(factories.make_view(view.product, "back"), part)
    assert get(controller)["outcome"] == "no verdict"


def test_an_outcome_of_an_earlier_round_does_not_count(controller: Client, view: View) -> None:
    part = routed(view, "pass")
    Part.objects.filter(pk=part.pk).update(round=2, outcome="pass")
    factories.make_image(view, part, round=2, state=Image.State.ACCEPTED)
    assert get(controller)["outcome"] == "no verdict"


@pytest.mark.parametrize(
    ("verdict", "told"),
    [("good", "pass"), ("defect", "reject"), ("unsure", "review"), ("reshoot", "reshoot")],
)
def test_a_persons_word_changes_it(controller: Client, view: View, verdict: str, told: str) -> None:
    part = routed(view, "review")
    Part.objects.filter(pk=part.pk).update(verdict=verdict, verdict_at=timezone.now())
    status = get(controller)
    assert (status["outcome"], status["machine_outcome"], status["verdict"]) == (
        told,
        "review",
        verdict,
    )


def test_a_person_is_told_in_review_while_somebody_is_asked(
    supervisor: Person, operator: Person, controller: Client, view: View
) -> None:
    answers = []
    for serial, outcome in [("A", "review"), ("B", "reject"), ("C", "pass"), ("D", "no verdict")]:
        part = routed(view, outcome, serial)
        factories.make_open_item(part.routings.get())
        for person in (supervisor, operator):
            status = get(client_of(person), f"parts/{serial}")
            for name in ("id", "serial", "first_seen_at"):
                status.pop(name)
            answers.append(status)
    assert all(answer == answers[0] for answer in answers)
    assert answers[0]["outcome"] == "in review"
    assert get(controller, "parts/C")["outcome"] == "pass"


def test_a_serial_may_hold_a_slash(controller: Client, view: View) -> None:
    routed(view, "pass", "2026/47-1")
    assert get(controller, "parts/2026/47-1")["serial"] == "2026/47-1"


def test_several_products_with_the_serial(controller: Client, view: View) -> None:
    routed(view, "pass")
    other = factories.make_view()
    routed(other, "reject")
    response = controller.get("/api/v1/parts/R1")
    assert response.status_code == 409
    assert set(response.json()["error"]["extra"]["products"]) == {view.product_id, other.product_id}
    assert get(controller, f"parts/R1?product={other.product_id}")["outcome"] == "reject"
    assert controller.get("/api/v1/parts/R1?product=x").status_code == 400


def test_who_may_not_read_a_part(outsider: Person, view: View) -> None:
    routed(view, "pass")
    other = factories.make_line("Line 9")
    factories.make_token("slk_w", "images:write")
    factories.make_token("slk_o", "line:read", line=other)
    elsewhere = factories.make_person("x", Role.ADMIN, line=other)
    url = "/api/v1/parts/R1"
    assert Client().get(url).status_code == 401
    assert client_of(outsider).get(url).status_code == 403
    assert client_of(elsewhere).get(url).status_code == 404
    assert Client(HTTP_AUTHORIZATION="Bearer slk_w").get(url).status_code == 403
    assert Client(HTTP_AUTHORIZATION="Bearer slk_o").get(url).status_code == 404
    assert client_of(elsewhere).post(url).status_code == 405


def test_query_count_of_a_status(
    controller: Client, view: View, django_assert_max_num_queries: Any
) -> None:
    routed(view, "pass")
    with django_assert_max_num_queries(5):
        get(controller)


def test_hold_and_release(operator: Person, supervisor: Person, view: View) -> None:
    part = routed(view, "review")
    url = f"/api/v1/parts/{part.pk}/hold"
    held = client_of(operator).post(url, {"reason": "oil"}, content_type="application/json")
    assert (held.status_code, held.json()["held"]) == (200, True)
    again = client_of(operator).post(url, {"reason": "oil"}, content_type="application/json")
    assert again.status_code == 409
    release = f"/api/v1/parts/{part.pk}/release"
    assert client_of(operator).post(release).status_code == 403
    released = client_of(supervisor).post(release)
    assert (released.status_code, released.json()["held"]) == (200, False)


def test_who_may_not_hold(outsider: Person, operator: Person, view: View) -> None:
    part = routed(view, "review")
    url = f"/api/v1/parts/{part.pk}/hold"
    elsewhere = factories.make_person("x", Role.ADMIN, line=factories.make_line("Line 9"))
    assert Client().post(url).status_code == 401
    assert client_of(outsider).post(url).status_code == 403
    body = {"reason": "oil"}
    assert client_of(elsewhere).post(url, body).status_code == 404
    assert client_of(operator).post("/api/v1/parts/999/hold", body).status_code == 404
    assert client_of(operator).post(url).status_code == 400
    assert client_of(operator).get(url).status_code in {404, 405}
    part.refresh_from_db()
    assert part.held_at is None


# In transactions of its own: messages of an open one are held back on Postgres.
@pytest.mark.django_db(transaction=True)
def test_line_messages_come_in_order_with_a_cursor(controller: Client, view: View) -> None:
    line = view.product.line
    for number in range(5):
        Outbox.objects.create(topic="line", line=line, payload={"n": number})
        Outbox.objects.create(topic="score", payload={"job_id": number})
        Outbox.objects.create(topic="line", line=factories.make_line("Line 9"), payload={})
    first = get(controller, "line-messages?limit=3")
    assert [message["message"]["n"] for message in first["messages"]] == [0, 1, 2]
    rest = get(controller, f"line-messages?after={first['after']}")
    assert [message["message"]["n"] for message in rest["messages"]] == [3, 4]
    end = get(controller, f"line-messages?after={rest['after']}")
    assert end == {"messages": [], "after": rest["after"]}


# In transactions of its own: messages of an open one are held back on Postgres.
@pytest.mark.django_db(transaction=True)
def test_a_hold_reaches_the_line(controller: Client, operator: Person, view: View) -> None:
    part = routed(view, "pass")
    client_of(operator).post(f"/api/v1/parts/{part.pk}/hold", {"reason": "oil"})
    (message,) = get(controller, "line-messages")["messages"]
    assert (message["line"], message["message"]["event"]) == (part.line_id, "hold")


def test_line_messages_are_for_devices_only(
    supervisor: Person, operator: Person, controller: Client
) -> None:
    url = "/api/v1/line-messages"
    factories.make_token("slk_w", "images:write")
    assert Client().get(url).status_code == 401
    for person in (supervisor, operator):
        assert client_of(person).get(url).status_code == 403
    assert Client(HTTP_AUTHORIZATION="Bearer slk_w").get(url).status_code == 403
    assert controller.get(url + "?after=-1").status_code == 400
    assert controller.get(url + "?after=x").status_code == 400
    assert controller.post(url).status_code == 405


def test_query_count_of_messages(
    controller: Client, view: View, django_assert_max_num_queries: Any
) -> None:
    for number in range(30):
        Outbox.objects.create(topic="line", line=view.product.line, payload={"n": number})
    with django_assert_max_num_queries(3):
        get(controller, "line-messages")
