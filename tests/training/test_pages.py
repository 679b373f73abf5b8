"""The pages: who opens them, what they say with nothing, one and many, what a click does."""

import io
import zipfile
from datetime import time, timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from detection.evaluation import OperatingPoint, ScoredImage
from inspection.models import DefectType, ModelVersion, Person, Promotion, Role, View
from inspection.services.registry import serving_version
from tests import factories, images
from tests.conftest import client_of
from tests.training.records import add_normal, make_run
from tests.training.test_promotion import candidate
from training.models import Attestation, GoldenEntry, PoolEntry, Run
from training.services.promotion import promote

pytestmark = pytest.mark.django_db


@pytest.fixture
def view() -> View:
    return factories.make_view()


@pytest.fixture
def web(engineer: Person) -> Client:
    return client_of(engineer)


def with_figures(view: View) -> ModelVersion:
    """A candidate with an evaluation on its page."""
    version = candidate(view)
    lines = [
        *(ScoredImage(str(n), 1 + n / 10, False, "") for n in range(10)),
        *(ScoredImage(str(n), 1 + n / 10, True, "stain", n / 1000) for n in range(10, 20)),
    ]
    intervals = {"image_auroc": [0.93, 1.0], "pixel_auroc": None, "aupro": [0.8, 0.95]}
    version.metrics["evaluation"] = {
        "n_normal": 10, "n_defect": 10, "n_mask_regions": 10, "image_auroc": 0.981,
        "image_ap": 0.97, "pixel_auroc": 0.95, "aupro": 0.9, "ms_per_image": 31.0,
        **OperatingPoint.of(lines, 2.05).to_json(),
        "intervals": intervals,
        "roc": [
            {"false_alarm_rate": 0, "detection_rate": 0, "threshold": None},
            {"false_alarm_rate": 0, "detection_rate": 0.9, "threshold": 2.1},
            {"false_alarm_rate": 1, "detection_rate": 1, "threshold": 1.0},
        ],
        "precision_recall": [
            {"recall": 0, "precision": 1, "threshold": None},
            {"recall": 0.9, "precision": 1, "threshold": 2.1},
            {"recall": 1, "precision": 0.5, "threshold": 1.0},
        ],
        "scores": [line.to_json() for line in lines],
    }  # fmt: skip
    version.save()
    return version


def pages(view: View, version: ModelVersion, run: Run) -> list[str]:
    return [
        reverse("training:models"),
        reverse("training:view", args=[view.pk]),
        reverse("training:pool", args=[view.pk, "verified"]),
        reverse("training:version", args=[version.pk]),
        reverse("training:run", args=[run.pk]),
        reverse("training:run-progress", args=[run.pk]),
        reverse("training:consequence", args=[version.pk]),
    ]


def actions(view: View, version: ModelVersion, run: Run) -> list[str]:
    return [
        reverse("training:train", args=[view.pk]),
        reverse("training:normals", args=[view.pk]),
        reverse("training:golden", args=[view.pk]),
        reverse("training:promote", args=[version.pk]),
        reverse("training:rollback", args=[version.pk]),
        reverse("training:set-thresholds", args=[version.pk]),
        reverse("training:cancel", args=[run.pk]),
    ]


def test_who_may_open_what(
    view: View, engineer: Person, operator: Person, supervisor: Person, outsider: Person
) -> None:
    version, run = with_figures(view), make_run(view)
    elsewhere = factories.make_person("", Role.ENGINEER, line=factories.make_line("Line 9"))
    for address in pages(view, version, run):
        assert client_of(engineer).get(address).status_code == 200, address
        assert Client().get(address).status_code == 302, address
        for person in (operator, supervisor, outsider):
            assert client_of(person).get(address).status_code == 403, address
        if address != reverse("training:models"):
            assert client_of(elsewhere).get(address).status_code == 404, address
        assert client_of(engineer).post(address).status_code == 405, address
    for address in actions(view, version, run):
        assert client_of(engineer).get(address).status_code == 405, address
        assert Client().post(address).status_code == 302, address
        assert client_of(supervisor).post(address).status_code == 403, address
        assert client_of(elsewhere).post(address).status_code == 404, address
    assert Run.objects.get().state == Run.State.QUEUED
    assert serving_version(view) is None


@pytest.mark.parametrize("name", ["view", "version", "run", "run-progress"])
def test_what_is_not_there_is_404(web: Client, name: str) -> None:
    assert web.get(reverse(f"training:{name}", args=[12345])).status_code == 404


def test_an_unknown_pool_is_404(web: Client, view: View) -> None:
    assert web.get(reverse("training:pool", args=[view.pk, "no"])).status_code == 404


def said(web: Client, name: str, *args: Any) -> str:
    return web.get(reverse(f"training:{name}", args=args)).content.decode()


def test_with_no_product_it_says_what_to_do(web: Client) -> None:
    assert "No product on your lines yet" in said(web, "models")


def test_with_no_normals_training_is_closed_and_says_why(web: Client, view: View) -> None:
    text = said(web, "view", view.pk)
    assert "0 of 5 normals: too few for a model." in text
    assert "disabled" in text
    assert "No model yet." in text
    assert "No run yet." in text


def test_some_normals_are_enough_and_promise_nothing(web: Client, view: View) -> None:
    for _ in range(42):
        add_normal(view)
    text = said(web, "view", view.pk)
    assert "42 of 100 normals: enough for a first model." in text
    assert "No promise about false alarms below 299 calibration normals" in text
    assert "let it serve when it is ready" in text


def test_a_version_shows_its_figures_with_their_n(web: Client, view: View) -> None:
    version = with_figures(view)
    text = said(web, "version", version.pk)
    for words in (
        "0.981", "10 defects, 10 normals", "9 of 10", "Usable", "55 to 100 %", "figure-scores",
        "figure-roc", "figure-pr", "review_from becomes 2", "Nothing is rejected by machine.",
        "Policy 1 becomes policy 2",
    ):  # fmt: skip
        assert words in text, words


def test_a_version_that_was_never_tested_says_so(web: Client, view: View) -> None:
    text = said(web, "version", candidate(view).pk)
    assert "Not tested." in text
    assert "Detection is unknown" in text


def test_a_bare_version_still_has_a_page(web: Client, view: View) -> None:
    version = factories.make_version(view)
    assert "carries no calibration" in said(web, "version", version.pk)


def test_promote_and_roll_back_by_button(web: Client, view: View, engineer: Person) -> None:
    old, new = candidate(view), with_figures(view)
    promote(version=old, person=engineer, reason="first")
    no_reason = web.post(reverse("training:promote", args=[new.pk]), follow=True)
    assert "Say why" in no_reason.content.decode()
    assert serving_version(view) == old
    text = web.post(
        reverse("training:promote", args=[new.pk]), {"reason": "better"}, follow=True
    ).content.decode()
    assert "v2 serves now." in text
    assert serving_version(view) == new
    assert "Roll back to v1" in said(web, "version", old.pk)
    web.post(reverse("training:rollback", args=[old.pk]), {"reason": "worse"})
    assert serving_version(view) == old
    assert Promotion.objects.latest("id").is_rollback


def test_train_goes_to_the_run(web: Client, view: View, engineer: Person) -> None:
    for _ in range(6):
        add_normal(view)
    address = reverse("training:train", args=[view.pk])
    response = web.post(address, {"serve": "on"})
    run = Run.objects.get()
    assert response["Location"] == reverse("training:run", args=[run.pk])
    assert run.requested_by == engineer
    assert run.trigger == Run.Trigger.SETUP
    assert run.promote_when_done is True
    again = web.post(address, follow=True).content.decode()
    assert f"Run {run.pk} of this view is queued already." in again
    assert Run.objects.count() == 1


def test_too_few_is_said_on_the_page(web: Client, view: View) -> None:
    text = web.post(reverse("training:train", args=[view.pk]), follow=True).content.decode()
    assert "at least 5 are needed" in text


def test_progress_is_asked_for_until_the_run_ends(web: Client, view: View) -> None:
    run = make_run(
        view, state=Run.State.RUNNING, note="Reading the normals", done_steps=3, total_steps=12
    )
    address = reverse("training:run-progress", args=[run.pk])
    open_answer = web.get(address)
    assert open_answer.status_code == 200
    assert "Reading the normals, 3 of 12" in open_answer.content.decode()
    assert "25 % of this step" in open_answer.content.decode()
    assert f'hx-get="{address}"' in open_answer.content.decode()
    Run.objects.filter(pk=run.pk).update(
        state=Run.State.FAILED, reason="It broke.", stage_seconds={"Saving": 1.5}
    )
    ended = web.get(address)
    assert ended.status_code == 286
    text = ended.content.decode()
    assert "hx-get" not in text
    assert "It broke." in text
    assert "1.5 s" in text


def test_cancel_by_button(web: Client, view: View) -> None:
    run = make_run(view)
    address = reverse("training:cancel", args=[run.pk])
    web.post(address)
    run.refresh_from_db()
    assert run.state == Run.State.CANCELLED
    assert "ended already" in web.post(address, follow=True).content.decode()


def picture(seed: int, name: str = "") -> SimpleUploadedFile:
    return SimpleUploadedFile(name or f"{seed}.png", images.good_png(seed))


def normals(web: Client, view: View, fields: dict[str, Any], **headers: str) -> Any:
    address = reverse("training:normals", args=[view.pk])
    return web.post(address, fields, headers=headers, follow=not headers)


def test_normals_by_form(web: Client, view: View) -> None:
    broken = SimpleUploadedFile("half.png", images.half_png())
    fields = {"images": [picture(1), picture(2), broken], "reason": "set-up", "attested": "on"}
    text = normals(web, view, fields).content.decode()
    assert "2 added, 1 refused." in text
    assert "half.png" in text
    assert PoolEntry.objects.filter(state=PoolEntry.State.VERIFIED).count() == 2


def test_normals_nobody_vouches_for_stay_out(web: Client, view: View) -> None:
    response = normals(web, view, {"images": [picture(1)], "reason": "set-up"})
    assert response.status_code == 400
    assert "This field is required." in response.content.decode()
    assert not PoolEntry.objects.exists()


def test_normals_in_pieces_are_one_batch(web: Client, view: View) -> None:
    json = {"accept": "application/json"}
    fields = {"reason": "set-up", "attested": "on"}
    first = normals(web, view, fields | {"images": [picture(1), picture(2)]}, **json).json()
    assert first["added"] == 2
    second = normals(
        web, view, fields | {"images": [picture(3)], "attestation": first["attestation"]}, **json
    ).json()
    assert second["attestation"] == first["attestation"]
    assert Attestation.objects.get().count == 3
    nothing = normals(web, view, fields, **json)
    assert nothing.status_code == 400
    assert nothing.json()["error"]["code"] == "invalid"
    stolen = normals(web, view, fields | {"images": [picture(4)], "attestation": 999}, **json)
    assert stolen.status_code == 404


def test_normals_in_a_zip(web: Client, view: View) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for seed in range(4):
            archive.writestr(f"lot {seed % 2}/{seed}.png", images.good_png(seed))
    upload = SimpleUploadedFile("shoot.zip", buffer.getvalue())
    fields = {"images": [upload], "reason": "set-up", "attested": "on"}
    assert "4 added." in normals(web, view, fields).content.decode()
    lots = set(PoolEntry.objects.values_list("image__part__lot", flat=True))
    assert lots == {"lot 0", "lot 1"}
    bad = SimpleUploadedFile("bad.zip", b"hello")
    text = normals(web, view, fields | {"images": [bad]}).content.decode()
    assert "bad.zip was not taken" in text


def test_golden_by_form(web: Client, view: View) -> None:
    kind = DefectType.objects.create(product=view.product, name="stain")
    other = DefectType.objects.create(product=factories.make_product(), name="crack")
    address = reverse("training:golden", args=[view.pk])
    web.post(address, {"golden-images": [picture(1)], "golden-truth": str(kind.pk)})
    web.post(address, {"golden-images": [picture(2)], "golden-truth": "good"})
    foreign = web.post(address, {"golden-images": [picture(3)], "golden-truth": str(other.pk)})
    assert foreign.status_code == 400
    truths = list(GoldenEntry.objects.order_by("id").values_list("is_defect", "defect_type"))
    assert truths == [(True, kind.pk), (False, None)]


def test_times_are_the_sites(web: Client, view: View) -> None:
    run = make_run(view, queued_at=timezone.now().replace(hour=23, minute=30, month=6, day=1))
    assert "2 Jun, 01:30" in said(web, "run", run.pk)


def queries_of(web: Client, address: str, django_assert_max_num_queries: Any, most: int) -> None:
    with django_assert_max_num_queries(most):
        assert web.get(address).status_code == 200


def test_queries_do_not_grow_with_rows(
    web: Client, view: View, engineer: Person, django_assert_max_num_queries: Any
) -> None:
    for number in range(12):
        other = factories.make_view(factories.make_product(f"Product {number}"))
        for _ in range(3):
            add_normal(other)
        make_run(other)
        factories.make_version(other)
    for _ in range(12):
        add_normal(view, added_by=engineer)
        make_run(view, state=Run.State.FAILED, requested_by=engineer)
        candidate(view)
        Attestation.objects.create(
            view=view, person=engineer, count=1, reason="x", at=timezone.now()
        )
    version = with_figures(view)
    check = django_assert_max_num_queries
    queries_of(web, reverse("training:models"), check, 18)
    queries_of(web, reverse("training:view", args=[view.pk]), check, 26)
    queries_of(web, reverse("training:pool", args=[view.pk, "verified"]), check, 14)
    queries_of(web, reverse("training:version", args=[version.pk]), check, 18)


def test_many_views_come_in_pages(web: Client) -> None:
    product = factories.make_product()
    for number in range(51):
        factories.make_view(product, name=f"camera {number:02d}")
    text = said(web, "models")
    assert "1 to 50 of 51" in text
    assert "camera 50" not in text
    assert "camera 50" in web.get(reverse("training:models") + "?page=2").content.decode()


def test_a_version_that_served_is_no_candidate(web: Client, view: View, engineer: Person) -> None:
    old, new = candidate(view), candidate(view)
    assert "waits to be promoted" in said(web, "view", view.pk)
    promote(version=new, person=engineer, reason="yes")
    promote(version=old, person=engineer, reason="no, back")
    assert "waits to be promoted" not in said(web, "view", view.pk)


def test_the_run_page_counts_its_seconds(web: Client, view: View) -> None:
    now = timezone.now()
    run = make_run(
        view, state=Run.State.DONE, model_version=candidate(view), started_at=now,
        finished_at=now + timedelta(seconds=41),
    )  # fmt: skip
    assert "v1 is ready, after 41 s." in said(web, "run", run.pk)


def test_a_pool_shows_no_part_that_is_asked_about_again(web: Client, view: View) -> None:
    shown, hidden = add_normal(view), add_normal(view)
    routing = factories.make_routing(hidden.image.part)
    factories.make_open_item(routing, reason="second opinion")
    text = said(web, "pool", view.pk, "verified")
    assert shown.image.part.serial in text
    assert hidden.image.part.serial not in text
    assert "1 image," in text


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({}, "only by button"),
        ({"retrain_at": time(2, 0)}, "retrains daily at 02:00<"),
        ({"retrain_after_normals": 1}, "retrains after 1 new normal<"),
        (
            {"retrain_at": time(2, 0), "retrain_after_normals": 20},
            "retrains daily at 02:00, after 20 new normals",
        ),
    ],
)
def test_the_view_says_when_it_is_retrained(web: Client, rules: dict[str, Any], words: str) -> None:
    view = factories.make_view(factories.make_product(**rules))
    assert words in said(web, "view", view.pk)


@pytest.mark.parametrize("name", ["version", "run"])
def test_models_stays_marked_in_the_navigation(web: Client, view: View, name: str) -> None:
    thing = candidate(view) if name == "version" else make_run(view)
    assert '<a href="/models/" aria-current="page">Models</a>' in said(web, name, thing.pk)
