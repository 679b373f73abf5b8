"""POST /api/v1/images."""

import base64
import hashlib
import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from inspection.models import Image, Part, Person, Role, ScoringJob, View
from tests import factories, images
from tests.conftest import client_of

pytestmark = pytest.mark.django_db
URL = "/api/v1/images"


@pytest.fixture
def view() -> View:
    return factories.make_view(factories.make_product("Flange ring"))


@pytest.fixture
def camera(view: View) -> Client:
    factories.make_token("slk_test", "images:write")
    return Client(HTTP_AUTHORIZATION="Bearer slk_test")


def post(client: Client, data: bytes = b"", **fields: Any) -> Any:
    headers = fields.pop("headers", {})
    fields.setdefault("product", "Flange ring")
    file = SimpleUploadedFile("r62.png", data or images.good_png())
    return client.post(URL, {"file": file, **fields}, headers=headers)


def test_works_for_a_camera(camera: Client, view: View) -> None:
    response = post(
        camera, serial="R62-1", lot="L7", tags='{"tool": 4}', captured_at="2026-11-23T10:00:00Z"
    )
    assert response.status_code == 201, response.content
    image = Image.objects.get()
    assert response.json() == {
        "id": image.pk,
        "created": True,
        "part": {"id": image.part_id, "serial": "R62-1", "round": 1},
        "view": {"id": view.pk, "name": "face"},
        "sha256": image.blob_id,
        "same_bytes_as": None,
    }
    assert image.channel == Image.Channel.API
    assert image.captured_at.isoformat() == "2026-11-23T10:00:00+00:00"
    assert (image.part.lot, image.part.tags) == ("L7", {"tool": "4"})
    assert ScoringJob.objects.count() == 1


def test_works_for_an_engineer_in_a_browser(engineer: Person, view: View) -> None:
    response = post(client_of(engineer), product=str(view.product_id), view="face")
    assert response.status_code == 201, response.content
    assert Image.objects.get().channel == Image.Channel.BROWSER


def test_the_same_key_again_is_the_same_image(camera: Client) -> None:
    first = post(camera, headers={"Idempotency-Key": "shot 1"})
    again = post(camera, capture_key="shot 1")
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json() | {"created": False}


def test_the_key_for_other_bytes_is_a_conflict(camera: Client) -> None:
    post(camera, capture_key="1")
    response = post(camera, images.good_png(2), capture_key="1")
    assert response.status_code == 409
    assert response.json()["error"]["code"] == "conflict"


def test_a_stuck_camera_is_told_so(camera: Client) -> None:
    first = post(camera, capture_key="1").json()
    assert post(camera, capture_key="2").json()["same_bytes_as"] == first["id"]


def test_the_digest_header_is_checked(camera: Client) -> None:
    data = images.good_png()
    good = base64.b64encode(hashlib.sha256(data).digest()).decode()
    wrong = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    refused = post(camera, data, headers={"Digest": f"sha-256={wrong}"})
    assert (refused.status_code, refused.json()["error"]["extra"]["reason"]) == (422, "digest")
    assert post(camera, data, headers={"Digest": f"sha-256={good}"}).status_code == 201
    assert post(camera, data, headers={"Digest": "sha-256=%%"}).status_code == 400


def test_several_views_make_one_part(camera: Client, view: View) -> None:
    factories.make_view(view.product, "back")
    assert post(camera, images.good_png(1)).status_code == 400  # which view?
    post(camera, images.good_png(1), view="face", serial="R1")
    post(camera, images.good_png(2), view="back", serial="R1")
    assert Part.objects.get().images.count() == 2


def test_the_station_chooses_the_view(camera: Client, view: View) -> None:
    station = factories.make_station(view.product.line, "2B")
    back = factories.make_view(view.product, "back", station=station)
    assert post(camera, station="2B").json()["view"]["id"] == back.pk
    assert post(camera, images.good_png(2), station="9X").status_code == 404


@pytest.mark.parametrize("name", ["half.jpg", "text.jpg", "empty.jpg", "bomb.png"])
def test_a_bad_file_is_refused_with_its_reason(camera: Client, name: str) -> None:
    make, code = images.BAD_FILES[name]
    file = SimpleUploadedFile(name, make())
    response = camera.post(URL, {"file": file, "product": "Flange ring"})
    assert response.status_code == 422
    error = response.json()["error"]
    assert (error["code"], error["extra"]["reason"]) == ("refused_image", code)
    assert not Image.objects.exists()


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_wrong_method(camera: Client, method: str) -> None:
    assert getattr(camera, method)(URL).status_code == 405


def test_anonymous_and_wrong_tokens(view: View) -> None:
    assert post(Client()).status_code == 401
    assert post(Client(HTTP_AUTHORIZATION="Bearer slk_none")).status_code == 401
    factories.make_token("slk_test", "line:read")
    assert post(Client(HTTP_AUTHORIZATION="Bearer slk_test")).status_code == 403
    assert not Image.objects.exists()


def test_outsider_and_wrong_role(outsider: Person, operator: Person, view: View) -> None:
    assert post(client_of(outsider)).status_code == 403
    assert post(client_of(operator)).status_code == 403


def test_another_lines_product_is_not_there(view: View) -> None:
    other = factories.make_line("Line 9")
    factories.make_token("slk_test", "images:write", line=other)
    assert post(Client(HTTP_AUTHORIZATION="Bearer slk_test")).status_code == 404
    engineer = factories.make_person("x", Role.ENGINEER, line=other)
    assert post(client_of(engineer)).status_code == 404


def test_a_browser_needs_the_csrf_token(engineer: Person, view: View) -> None:
    client = client_of(engineer)
    client.handler.enforce_csrf_checks = True
    assert post(client).status_code == 403


@pytest.mark.parametrize(
    "fields",
    [
        {"product": "none such"},
        {"view": "none such"},
        {"tags": "[1]"},
        {"tags": "{"},
        {"captured_at": "yesterday"},
        {"serial": "x" * 121},
        {"sha256": "0" * 65},
        {"capture_key": "1", "headers": {"Idempotency-Key": "2"}},
    ],
)
def test_bad_input(camera: Client, fields: dict[str, Any]) -> None:
    response = post(camera, **fields)
    assert response.status_code in {400, 404}
    assert set(response.json()["error"]) == {"code", "message", "extra"}
    assert not Image.objects.exists()


def test_without_a_file_or_as_json(camera: Client) -> None:
    assert camera.post(URL, {"product": "Flange ring"}).status_code == 400
    assert camera.post(URL, json.dumps({}), content_type="application/json").status_code == 415


def test_a_body_over_the_limit_is_refused_unread(camera: Client, settings: Any) -> None:
    settings.MAX_IMAGE_BYTES = 1024
    response = post(camera, bytes(200_000))
    assert response.json()["error"]["extra"] == {"reason": "file_too_big"}


def test_an_image_costs_few_queries(camera: Client) -> None:
    post(camera)
    with CaptureQueriesContext(connection) as queries:
        post(camera, images.good_png(2), capture_key="2", serial="R2", view="face")
    kept = [q["sql"] for q in queries if not q["sql"].startswith(("SAVEPOINT", "RELEASE"))]
    assert len(kept) <= 13, kept
