"""The review API: works, refuses, keeps its shapes and its number of queries."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from rest_framework.serializers import BaseSerializer, ListSerializer, Serializer

from inspection.models import DefectType, Person, Role, View
from review import hooks
from review.api import serializers
from review.models import ReviewItem
from tests import factories
from tests.conftest import client_of

pytestmark = pytest.mark.django_db
BASE = "/api/v1/review/"


@pytest.fixture(autouse=True)
def _nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks.decision_recorded, "_receivers", [])


@pytest.fixture
def view(db: None) -> View:
    view = factories.make_view(station=factories.make_station(), mm_per_pixel=0.5)
    factories.make_threshold(factories.make_version(view), reject_from=9.0)
    DefectType.objects.create(product=view.product, name="scratch", key=1)
    return view


def post(client: Client, path: str, body: dict[str, Any] | None = None) -> Any:
    return client.post(BASE + path, body or {}, content_type="application/json")


def take(client: Client, **body: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = post(client, "next", body).json()["items"]
    return found


def answer(client: Client, item: int, verdict: str = "good", **body: Any) -> Any:
    body = {"verdict": verdict, "seconds": 3.5, "key": str(uuid.uuid4())} | body
    return post(client, f"items/{item}/decision", body)


def assert_shape(shape: BaseSerializer[Any], value: Any, path: str = "") -> None:
    """Fail unless a body has exactly the fields that its serializer promises."""
    if isinstance(shape, ListSerializer):
        for one in value:
            assert_shape(shape.child, one, f"{path}[]")  # type: ignore[arg-type]
    elif isinstance(shape, Serializer) and value is not None:
        assert set(value) == set(shape.fields), path
        for name, field in shape.fields.items():
            if isinstance(field, BaseSerializer):
                assert_shape(field, value[name], f"{path}.{name}")


def walk(view: View) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield method, path and body of every endpoint, for one waiting item."""
    item = factories.make_review_item(view).pk
    yield "post", "next", {}
    yield "get", "recent", {}
    for move in ("look", "renew", "release", "defer"):
        yield "post", f"items/{item}/{move}", {}
    yield "post", f"items/{item}/decision", {"verdict": "good", "key": str(uuid.uuid4())}
    yield "post", "decisions/1/undo", {"key": str(uuid.uuid4())}


def test_anonymous_outsiders_and_devices_are_refused(view: View, outsider: Person) -> None:
    factories.make_token("slk_all", "images:write", "line:read")
    device = {"authorization": "Bearer slk_all"}
    for method, path, body in walk(view):
        call = {"path": BASE + path, "data": body, "content_type": "application/json"}
        assert getattr(Client(), method)(**call).status_code == 401, path
        assert getattr(client_of(outsider), method)(**call).status_code == 403, path
        assert getattr(Client(headers=device), method)(**call).status_code == 403, path


def test_another_lines_operator_finds_nothing(view: View) -> None:
    stranger = factories.make_person("", Role.OPERATOR, line=factories.make_line("Line 9"))
    client = client_of(stranger)
    assert take(client) == []
    for method, path, body in walk(view):
        if path not in ("next", "recent"):
            response = getattr(client, method)(BASE + path, body, content_type="application/json")
            assert response.status_code == 404, path


def test_the_other_method_is_405(view: View, operator: Person) -> None:
    client = client_of(operator)
    for method, path, _ in walk(view):
        other = client.get if method == "post" else client.post
        assert other(BASE + path).status_code == 405, path


def test_a_forged_post_is_refused(view: View, operator: Person) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(operator, backend="inspection.backends.PersonBackend")
    assert client.post(BASE + "next", {}, content_type="application/json").status_code == 403


def test_an_item_comes_as_promised(view: View, operator: Person) -> None:
    item = factories.make_review_item(view, at=factories.minutes_ago(5))
    body = post(client_of(operator), "next", {"count": 3}).json()
    assert_shape(serializers.NextResponse(), body)
    (shown,) = body["items"]
    assert (shown["id"], shown["serial"], shown["station"]) == (item.pk, item.part.serial, "2A")
    assert 299 <= shown["waited_s"] <= 305
    assert shown["defect_types"][0]["name"] == "scratch"
    assert shown["images"][0]["thumb_url"].endswith("/thumbnail")
    assert (body["waiting"], shown["overlay_first"], shown["previous_decision"]) == (1, False, None)


def test_an_empty_queue_is_an_empty_list(operator: Person) -> None:
    body = post(client_of(operator), "next").json()
    assert body == {"items": [], "waiting": 0, "oldest_waited_s": None}


@pytest.mark.parametrize("body", [{"count": 99}, {"holding": "x"}, {"product": "ring"}])
def test_bad_wishes_are_named(operator: Person, body: dict[str, Any]) -> None:
    response = post(client_of(operator), "next", body)
    assert response.status_code == 400
    assert set(response.json()["error"]["extra"]["fields"]) == set(body)


def test_a_look_reveals_and_is_recorded(view: View, operator: Person) -> None:
    item = factories.make_review_item(view)
    score = item.routing.worst_score
    assert score is not None
    score.regions = [
        {"area_px": 40, "box_xyxy": [1, 2, 9, 9], "peak": 5, "mean": 3, "peak_xy": [4, 4]}
    ]
    score.explanation = {
        "place_xy": [4, 4],
        "distance": 3.25,
        "normal_id": str(item.part.images.get().pk),
        "normal_place_xy": [5, 5],
    }
    score.save()
    client = client_of(operator)
    take(client)
    body = post(client, f"items/{item.pk}/look").json()
    assert_shape(serializers.RevealShape(), body)
    (image,) = body["images"]
    assert image["score"] == score.value
    assert image["regions"][0]["area_mm2"] == 10.0
    assert image["explanation"]["normal_image_id"] == item.part.images.get().pk
    assert (body["outcome"], body["review_from"], body["reject_from"]) == ("review", 2.6, 9.0)
    assert item.looks.count() == 1


def test_a_look_without_the_item_is_409(view: View, operator: Person) -> None:
    item = factories.make_review_item(view)
    assert post(client_of(operator), f"items/{item.pk}/look").status_code == 409
    assert not item.looks.exists()


def test_an_answer_a_repeat_and_an_undo(view: View, operator: Person) -> None:
    item = factories.make_review_item(view)
    factories.make_review_item(view)
    client = client_of(operator)
    take(client, count=1, item=item.pk)
    kind = view.product.defect_types.get()
    key = str(uuid.uuid4())
    first = answer(client, item.pk, "defect", defect_types=[kind.pk], key=key)
    again = answer(client, item.pk, "defect", defect_types=[kind.pk], key=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert_shape(serializers.DecisionResponse(), first.json())
    assert first.json()["waiting"] == 1
    assert first.json()["decision"]["defect_types"] == ["scratch"]
    recent = client.get(BASE + "recent").json()
    assert_shape(serializers.RecentResponse(), recent)
    (last,) = recent["decisions"]
    assert (last["item_id"], last["undoable"]) == (item.pk, True)
    undone = post(client, f"decisions/{last['id']}/undo", {"key": str(uuid.uuid4())})
    assert undone.status_code == 201
    assert_shape(serializers.UndoResponse(), undone.json())
    assert undone.json()["item"]["previous_decision"]["verdict"] == "defect"
    assert client.get(BASE + "recent").json() == {"decisions": []}
    ids = [shown["id"] for shown in take(client)]
    assert ids[0] == item.pk or item.pk in ids


def test_the_second_person_learns_who_and_when(view: View, operator: Person) -> None:
    item = factories.make_review_item(view)
    other = client_of(factories.make_person("colleague", Role.OPERATOR))
    take(other)
    assert answer(other, item.pk, "defect").status_code == 201
    refusal = answer(client_of(operator), item.pk)
    assert refusal.status_code == 409
    assert set(refusal.json()["error"]["extra"]) == {"by", "at"}
    assert refusal.json()["error"]["extra"]["by"] == "colleague"
    assert "defect" not in refusal.content.decode()


@pytest.mark.parametrize(
    "body",
    [
        {"verdict": "undone"},
        {"key": "not a uuid"},
        {"seconds": -1},
        {"defect_types": [999]},
        {"note": "x" * 2001},
    ],
)
def test_bad_answers_are_400(view: View, operator: Person, body: dict[str, Any]) -> None:
    item = factories.make_review_item(view)
    client = client_of(operator)
    take(client)
    assert answer(client, item.pk, **({"verdict": "defect"} | body)).status_code == 400
    item.refresh_from_db()
    assert item.state == "waiting"


def test_renew_release_and_defer(view: View, operator: Person) -> None:
    item = factories.make_review_item(view)
    factories.make_person("colleague", Role.OPERATOR)
    client = client_of(operator)
    take(client)
    renewed = post(client, f"items/{item.pk}/renew")
    assert_shape(serializers.RenewResponse(), renewed.json())
    assert post(client, f"items/{item.pk}/release").status_code == 204
    assert post(client, f"items/{item.pk}/renew").status_code == 409
    take(client)
    assert post(client, f"items/{item.pk}/defer").status_code == 204
    assert post(client, "next").json()["waiting"] == 0


def test_unknown_items_are_404(operator: Person) -> None:
    client = client_of(operator)
    for path in ("items/999/look", "items/999/renew", "items/999/release", "decisions/9/undo"):
        body = {"key": str(uuid.uuid4())}
        assert post(client, path, body).status_code == 404


def test_queries_do_not_grow_with_the_queue(
    view: View, operator: Person, django_assert_max_num_queries: Any
) -> None:
    for _ in range(30):
        factories.make_review_item(view)
    client = client_of(operator)
    with django_assert_max_num_queries(24):
        assert len(take(client, count=3)) == 3
    item = ReviewItem.objects.filter(leased_by=operator).first()
    assert item is not None
    with django_assert_max_num_queries(48):
        answer(client, item.pk)
