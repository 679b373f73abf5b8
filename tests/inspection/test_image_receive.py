"""The intake service: idempotence, rounds, views, rights, refusals."""

import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from inspection.blobs import blob_store
from inspection.errors import (
    ConflictError,
    DomainError,
    NotAllowedError,
    RefusedImageError,
)
from inspection.models import (
    Event,
    Image,
    Outbox,
    Part,
    Person,
    Product,
    Role,
    ScoringJob,
    View,
)
from inspection.services.intake import Received, image_receive
from tests import factories, images

pytestmark = pytest.mark.django_db


def receive(view: View, data: bytes = b"", /, **fields: Any) -> Received:
    fields.setdefault("channel", Image.Channel.API)
    fields.setdefault("product", view.product)
    return image_receive(data=data or images.good_png(), **fields)


@pytest.fixture
def view() -> View:
    return factories.make_view()


def test_an_image_comes_in_with_part_job_and_bell(view: View) -> None:
    data = images.good_png(1)
    received = receive(
        view, data, serial="R62-1", lot="L7", tags={"tool": "4"}, file_name="../a/r62.png"
    )
    image = Image.objects.get()
    assert received.created
    assert received.image == image
    assert (image.width, image.height, image.content_type) == (128, 96, "image/png")
    assert image.file_name == "r62.png"
    assert image.blob_id == hashlib.sha256(data).hexdigest()
    assert blob_store().read(image.blob_id) == data
    assert image.preview_id is not None
    assert image.derived is None
    part = Part.objects.get()
    assert (part.serial, part.lot, part.tags, part.outcome) == ("R62-1", "L7", {"tool": "4"}, "")
    job = ScoringJob.objects.get()
    assert (job.image, job.state) == (image, ScoringJob.State.QUEUED)
    bell = Outbox.objects.get()
    assert (bell.topic, bell.payload, bell.sent_at) == ("score", {"job_id": job.pk}, None)


def test_without_score_it_is_collected_and_no_bell_rings(view: View) -> None:
    received = receive(view, score=False)
    assert received.image.state == Image.State.COLLECTED
    assert not ScoringJob.objects.exists()
    assert not Outbox.objects.exists()


def test_the_same_key_and_bytes_are_the_same_image(view: View) -> None:
    first = receive(view, capture_key="shot-1")
    again = receive(view, capture_key="shot-1")
    assert not again.created
    assert again.image == first.image
    assert ScoringJob.objects.count() == 1


def test_a_key_used_for_other_bytes_is_a_conflict(view: View) -> None:
    receive(view, images.good_png(1), capture_key="shot-1")
    with pytest.raises(ConflictError):
        receive(view, images.good_png(2), capture_key="shot-1")
    assert Image.objects.count() == 1


def test_two_stations_may_use_the_same_key(view: View) -> None:
    left = factories.make_station(view.product.line, "left")
    right = factories.make_station(view.product.line, "right")
    receive(view, images.good_png(1), station=left, capture_key="1")
    assert receive(view, images.good_png(2), station=right, capture_key="1").created


def test_the_same_bytes_without_a_key_are_the_same_image(view: View) -> None:
    first = receive(view)
    again = receive(view, serial="another")
    assert (again.created, again.image) == (False, first.image)
    assert Part.objects.count() == 1


def test_the_same_bytes_under_a_new_key_raise_the_stuck_camera(view: View) -> None:
    first = receive(view, capture_key="1")
    again = receive(view, capture_key="2")
    assert again.created
    assert again.same_bytes_as == first.image
    assert again.image.blob_id == first.image.blob_id
    event = Event.objects.get()
    assert event.kind == "camera.same_bytes"
    assert event.data["same_as"] == first.image.pk


def test_the_same_bytes_of_two_products_are_two_images(view: View) -> None:
    receive(view)
    other = factories.make_view()
    assert receive(other).created


def test_the_same_bytes_for_another_view_ask_for_a_key(view: View) -> None:
    receive(view, view=view)
    back = factories.make_view(view.product, "back")
    with pytest.raises(ConflictError, match="capture key"):
        receive(view, view=back)


def test_a_declared_digest_must_match(view: View) -> None:
    data = images.good_png()
    digest = hashlib.sha256(data).hexdigest()
    assert receive(view, data, sha256=digest.upper()).created
    with pytest.raises(RefusedImageError) as caught:
        receive(view, images.good_png(5), sha256=digest)
    assert caught.value.extra["reason"] == "digest"


def test_a_bad_file_leaves_nothing_behind(view: View) -> None:
    with pytest.raises(RefusedImageError) as caught:
        receive(view, images.half_jpeg(), serial="R1")
    assert caught.value.extra == {"reason": "truncated"}
    assert not Part.objects.exists()
    assert not Image.objects.exists()


def test_a_file_over_the_limit_is_not_even_looked_at(view: View, settings: Any) -> None:
    settings.MAX_IMAGE_BYTES = 1000
    with pytest.raises(RefusedImageError) as caught:
        receive(view)
    assert caught.value.extra == {"reason": "file_too_big"}


def test_views_of_one_serial_join_one_part(view: View) -> None:
    back = factories.make_view(view.product, "back")
    receive(view, images.good_png(1), view=view, serial="R1")
    receive(view, images.good_png(2), view=back, serial="R1", lot="L1", tags={"tool": "2"})
    part = Part.objects.get()
    assert (part.round, part.lot, part.tags) == (1, "L1", {"tool": "2"})
    assert part.images.count() == 2


def test_the_same_view_again_opens_the_next_round(view: View) -> None:
    receive(view, images.good_png(1), serial="R1")
    Part.objects.update(outcome="reject", verdict="defect", verdict_at=timezone.now())
    received = receive(view, images.good_png(2), serial="R1")
    part = Part.objects.get()
    assert (part.round, part.outcome, part.verdict, part.verdict_at) == (2, "", "", None)
    assert received.image.round == 2
    assert list(part.images.order_by("id").values_list("round", flat=True)) == [1, 2]


def test_another_lot_for_a_known_part_is_a_conflict(view: View) -> None:
    receive(view, images.good_png(1), serial="R1", lot="A")
    with pytest.raises(ConflictError, match="lot A"):
        receive(view, images.good_png(2), serial="R1", lot="B")


def test_a_part_without_a_serial_gets_one(view: View) -> None:
    first = receive(view, images.good_png(1)).image.part.serial
    second = receive(view, images.good_png(2)).image.part.serial
    assert first != second
    assert len(first) > 10


def test_the_view_is_found_by_the_station(view: View) -> None:
    station = factories.make_station(view.product.line)
    back = factories.make_view(view.product, "back", station=station)
    assert receive(view, station=station).image.view == back


def test_an_unclear_view_is_said_with_the_choices(view: View) -> None:
    factories.make_view(view.product, "back")
    with pytest.raises(DomainError, match="which one") as caught:
        receive(view)
    assert set(caught.value.extra["views"]) == {"face", "back"}


def test_a_product_without_a_view_says_what_to_do() -> None:
    with pytest.raises(DomainError, match="Add one"):
        image_receive(
            data=images.good_png(), product=factories.make_product(), channel=Image.Channel.API
        )


def test_a_view_of_another_product_is_refused(view: View) -> None:
    with pytest.raises(DomainError, match="does not belong"):
        receive(view, view=factories.make_view())


def test_deep_grey_needs_the_stations_bit_depth(view: View) -> None:
    with pytest.raises(RefusedImageError) as caught:
        receive(view, images.grey_16_bit(bits=12))
    assert caught.value.extra == {"reason": "bit_depth_missing"}
    station = factories.make_station(view.product.line)
    station.bit_depth = 12
    station.save()
    assert receive(view, images.grey_16_bit(bits=12), station=station).image.derived is not None


def test_a_person_needs_a_makers_role_on_the_line(
    view: View, engineer: Person, operator: Person
) -> None:
    assert receive(view, person=engineer).created
    with pytest.raises(NotAllowedError):
        receive(view, images.good_png(9), person=operator)
    elsewhere = factories.make_person("x", Role.ENGINEER, line=factories.make_line("Line 9"))
    with pytest.raises(NotAllowedError):
        receive(view, images.good_png(9), person=elsewhere)


def test_a_token_needs_the_scope_and_its_line(view: View) -> None:
    other = factories.make_line("Line 9")
    reader = factories.make_token("a", "line:read")
    stranger = factories.make_token("b", "images:write", line=other)
    writer = factories.make_token("c", "images:write", line=view.product.line)
    for token in (reader, stranger):
        with pytest.raises(NotAllowedError):
            receive(view, device=token)
    assert receive(view, device=writer).created


def test_a_tokens_station_is_the_images(view: View) -> None:
    station = factories.make_station(view.product.line)
    token = factories.make_token("c", "images:write")
    token.station = station
    assert receive(view, device=token).image.station == station
    other = factories.make_station(view.product.line, "2B")
    with pytest.raises(NotAllowedError):
        receive(view, images.good_png(3), device=token, station=other)


@pytest.mark.parametrize(
    "fields",
    [
        {"serial": "x" * 121},
        {"serial": "a\x00b"},
        {"capture_key": "k" * 201},
        {"tags": {str(number): "" for number in range(40)}},
        {"captured_at": timezone.now() + timedelta(days=3)},
    ],
)
def test_fields_that_cannot_be_used_are_named(view: View, fields: dict[str, Any]) -> None:
    with pytest.raises(DomainError):
        receive(view, **fields)
    assert not Image.objects.exists()


def test_an_archived_product_takes_nothing(view: View) -> None:
    Product.objects.update(archived_at=timezone.now())
    view.product.refresh_from_db()
    with pytest.raises(ConflictError):
        receive(view)


def test_a_failure_after_the_files_leaves_no_rows(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**fields: object) -> None:
        raise RuntimeError("the power went")

    monkeypatch.setattr(Outbox.objects, "create", fail)
    with pytest.raises(RuntimeError):
        receive(view)
    assert not Image.objects.exists()
    assert not ScoringJob.objects.exists()


def test_a_shot_that_was_sent_twice_at_once_is_one_image(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    from inspection.services import intake

    real, calls = intake._already_here, []

    def blind_at_first(shot: Any) -> Received | None:
        calls.append(shot)
        return None if len(calls) == 1 else real(shot)

    first = receive(view, capture_key="1", serial="R1")
    monkeypatch.setattr(intake, "_already_here", blind_at_first)
    with transaction.atomic():
        again = receive(view, capture_key="1", serial="R1")
    assert (again.created, again.image) == (False, first.image)
    assert Part.objects.get().round == 1


def test_an_image_costs_few_queries(view: View) -> None:
    receive(view, images.good_png(1), capture_key="1", view=view)  # children started, view loaded
    with CaptureQueriesContext(
        connection,
    ) as queries:
        receive(view, images.good_png(2), capture_key="2", view=view, serial="R2")
    written = [q["sql"] for q in queries if not q["sql"].startswith(("SAVEPOINT", "RELEASE"))]
    assert len(written) <= 9, written


@pytest.mark.skipif(connection.vendor != "sqlite", reason="reads SQLite's query plan")
def test_a_key_is_looked_up_by_its_index(view: View) -> None:
    station = factories.make_station(view.product.line)
    with CaptureQueriesContext(connection) as queries:
        receive(view, capture_key="1", station=station)
        receive(view, images.good_png(2), capture_key="2")
    looked_up = [
        q["sql"]
        for q in queries
        if q["sql"].startswith("SELECT") and 'NOT ("inspection_image"."capture_key" = ' in q["sql"]
    ]
    assert len(looked_up) >= 2
    for sql, index in zip(looked_up, ("station", "product"), strict=False):
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN QUERY PLAN " + sql)
            plan = " ".join(str(row) for row in cursor.fetchall())
        assert f"image_unique_by_{index}_and_key" in plan
    assert Path(connection.settings_dict["NAME"]).suffix == ".sqlite3"
