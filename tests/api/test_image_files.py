"""Pictures and heat maps: who gets them, and how they are cached."""

import io
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from PIL import Image as Picture

from inspection.models import Image, Person, Role, Score
from inspection.services.intake import image_receive
from review.models import Look
from tests import factories, images
from tests.conftest import client_of

pytestmark = pytest.mark.django_db
KINDS = ("thumbnail", "preview", "original")


def body(response: Any) -> bytes:
    return b"".join(response.streaming_content)


@pytest.fixture
def image() -> Image:
    view = factories.make_view()
    data = images.encode(images.part_pixels(height=400, width=600))
    return image_receive(
        data=data, product=view.product, channel=Image.Channel.API, file_name="r62 ä.png"
    ).image


@pytest.mark.parametrize(("kind", "width"), [("thumbnail", 256), ("preview", 600)])
def test_works(operator: Person, image: Image, kind: str, width: int) -> None:
    response = client_of(operator).get(
        f"/api/v1/images/{image.pk}/{kind}", headers={"Accept": "image/webp,image/*"}
    )
    assert response.status_code == 200
    assert response["Content-Type"] == "image/jpeg"
    assert response["Cache-Control"] == "private, max-age=31536000, immutable"
    with Picture.open(io.BytesIO(body(response))) as picture:
        assert picture.width == width


def test_the_original_is_the_file_itself(operator: Person, image: Image) -> None:
    client = client_of(operator)
    data = body(client.get(f"/api/v1/images/{image.pk}/original"))
    assert data == images.encode(images.part_pixels(height=400, width=600))
    sent = client.get(f"/api/v1/images/{image.pk}/original?as_sent=1")
    assert sent["Content-Disposition"].startswith("attachment")
    assert body(sent) == data


def test_a_turned_original_is_shown_upright_and_kept_as_sent(operator: Person) -> None:
    view = factories.make_view()
    data = images.rotated_jpeg(6)
    image = image_receive(data=data, product=view.product, channel=Image.Channel.API).image
    client = client_of(operator)
    shown_bytes = body(client.get(f"/api/v1/images/{image.pk}/original"))
    with Picture.open(io.BytesIO(shown_bytes)) as shown:
        assert shown.size == (96, 128)
    assert body(client.get(f"/api/v1/images/{image.pk}/original?as_sent=1")) == data


def test_a_browser_that_has_it_is_told_so(operator: Person, image: Image) -> None:
    client = client_of(operator)
    first = client.get(f"/api/v1/images/{image.pk}/preview")
    body(first)
    again = client.get(
        f"/api/v1/images/{image.pk}/preview", headers={"If-None-Match": first["ETag"]}
    )
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("kind", KINDS)
def test_who_may_not(outsider: Person, image: Image, kind: str) -> None:
    url = f"/api/v1/images/{image.pk}/{kind}"
    elsewhere = factories.make_person("x", Role.ADMIN, line=factories.make_line("Line 9"))
    factories.make_token("slk_test", "images:write", "line:read")
    assert Client().get(url).status_code == 401
    assert client_of(outsider).get(url).status_code == 403
    assert client_of(elsewhere).get(url).status_code == 404
    assert Client(HTTP_AUTHORIZATION="Bearer slk_test").get(url).status_code == 403
    assert client_of(elsewhere).post(url).status_code == 405


@pytest.mark.parametrize("kind", KINDS)
def test_bad_id(operator: Person, kind: str) -> None:
    assert client_of(operator).get(f"/api/v1/images/999/{kind}").status_code == 404
    assert client_of(operator).get(f"/api/v1/images/x/{kind}").status_code == 404


def test_query_count(operator: Person, image: Image) -> None:
    client = client_of(operator)
    with CaptureQueriesContext(connection) as queries:
        body(client.get(f"/api/v1/images/{image.pk}/thumbnail"))
    assert len(queries) <= 6


def heat_status(person: Person, score: Score) -> int:
    response = client_of(person).get(f"/api/v1/scores/{score.pk}/heat")
    if response.streaming:
        body(response)
    return response.status_code


def scored(outcome: str) -> Any:
    view = factories.make_view()
    image = factories.make_image(view)
    score = factories.make_score(image, factories.make_version(view), heat=image.blob)
    return score, factories.make_routing(image.part, outcome)


def test_heat_is_closed_before_the_part_is_routed(supervisor: Person) -> None:
    view = factories.make_view()
    image = factories.make_image(view)
    score = factories.make_score(image, factories.make_version(view), heat=image.blob)
    assert heat_status(supervisor, score) == 404


def test_heat_is_closed_while_the_part_is_in_review(
    supervisor: Person, operator: Person, engineer: Person
) -> None:
    score, routing = scored("review")
    factories.make_open_item(routing)
    for person in (supervisor, operator, engineer):
        assert heat_status(person, score) == 404


def test_heat_opens_to_those_who_watch_once_nobody_is_asked(
    supervisor: Person, operator: Person
) -> None:
    score, _ = scored("pass")
    assert heat_status(supervisor, score) == 200
    assert heat_status(operator, score) == 404


def test_heat_opens_to_who_looked(operator: Person, supervisor: Person) -> None:
    score, routing = scored("review")
    item = factories.make_open_item(routing)
    Look.objects.create(item=item, person=operator, at=timezone.now())
    assert heat_status(operator, score) == 200
    assert heat_status(supervisor, score) == 404


def test_heat_wrong_callers(outsider: Person) -> None:
    score, _ = scored("pass")
    url = f"/api/v1/scores/{score.pk}/heat"
    elsewhere = factories.make_person("x", Role.SUPERVISOR, line=factories.make_line("Line 9"))
    assert Client().get(url).status_code == 401
    assert client_of(outsider).get(url).status_code == 403
    assert client_of(elsewhere).get(url).status_code == 404
    assert client_of(elsewhere).post(url).status_code == 405
    assert client_of(elsewhere).get("/api/v1/scores/999/heat").status_code == 404
