"""Thresholds on the page of the version that serves: what they would do, and setting them."""

import pytest
from django.test import Client
from django.urls import reverse

from inspection.models import ModelVersion, Person, View
from inspection.selectors.thresholds import threshold_of
from tests import factories
from tests.conftest import client_of
from tests.training.test_pages import with_figures
from tests.training.test_promotion import candidate
from training.consequences import consequence_of, evaluation_at
from training.services.promotion import promote

pytestmark = pytest.mark.django_db


@pytest.fixture
def view() -> View:
    return factories.make_view()


@pytest.fixture
def version(view: View, engineer: Person) -> ModelVersion:
    """Serves; ten known normals from 1.0 to 1.9, ten known defects from 2.0 to 2.9."""
    version = with_figures(view)
    promote(version=version, person=engineer, reason="first")
    return version


@pytest.fixture
def web(engineer: Person) -> Client:
    return client_of(engineer)


def page(web: Client, version: ModelVersion) -> str:
    return web.get(reverse("training:version", args=[version.pk])).content.decode()


def asked(web: Client, version: ModelVersion, **fields: str) -> str:
    response = web.get(reverse("training:consequence", args=[version.pk]), fields)
    assert response.status_code == 200
    return response.content.decode()


def test_a_pair_is_counted_on_the_known_images(version: ModelVersion) -> None:
    # Exact intervals: 8 of 10 is 44.4 to 97.5 %, 0 of 10 is 0 to 30.8 %, 3 of 10 6.7 to 65.2 %.
    assert consequence_of(version, review_from=2.2, reject_from=2.7) == [
        "8 of 10 known defects flagged (95 % interval 44.4 to 97.5 %).",
        "0 of 10 known normals stopped (95 % interval 0.0 to 30.8 %).",
        "3 of 10 known defects rejected by machine (95 % interval 6.7 to 65.2 %).",
        "0 of 10 known normals rejected by machine (95 % interval 0.0 to 30.8 %).",
    ]
    lines = consequence_of(version, review_from=1.8, reject_from=None)
    assert lines[1].startswith("2 of 10 known normals stopped")
    assert lines[2].startswith("Nothing is rejected by machine")


def test_without_known_images_nothing_is_claimed(view: View) -> None:
    (line,) = consequence_of(candidate(view), review_from=1, reject_from=None)
    assert "not known" in line
    defects_alone = with_figures(view)
    evaluation = defects_alone.metrics["evaluation"]
    evaluation["scores"] = [one for one in evaluation["scores"] if one["is_defect"]]
    lines = consequence_of(defects_alone, review_from=1, reject_from=None)
    assert lines[1] == "There are no known normals: how many are stopped is not known."


def test_an_evaluation_moves_with_the_threshold(version: ModelVersion) -> None:
    stored = version.metrics["evaluation"]
    moved = evaluation_at(stored, 1.8)
    assert moved["confusion"] == {"found": 10, "missed": 0, "false_alarms": 2, "passed": 8}
    assert moved["detection_by_type"]["stain"]["events"] == 10
    assert moved["false_alarm_rate"] == 0.2
    assert moved["rates"]["false_alarm_rate"]["events"] == 2
    assert moved["intervals"]["false_alarm_rate"] == pytest.approx([0.025211, 0.556095], abs=1e-6)
    assert moved["intervals"]["aupro"] == stored["intervals"]["aupro"]
    assert moved["smallest_tenth"]["found"] == 1
    assert moved["image_auroc"] == stored["image_auroc"]
    assert evaluation_at(stored, None) is stored
    assert evaluation_at(stored, 2.05)["confusion"] == stored["confusion"]


def test_the_sentence_follows_what_is_typed(web: Client, version: ModelVersion) -> None:
    assert "8 of 10 known defects flagged" in asked(web, version, review_from="2.2")
    both = asked(web, version, review_from="2.2", reject_from="2.7")
    assert "3 of 10 known defects rejected by machine" in both
    assert "cannot lie below" in asked(web, version, review_from="2", reject_from="1")
    assert "Review from: " in asked(web, version)
    assert "Review from: Enter a number." in asked(web, version, review_from="nan")


def test_the_page_asks_again_while_one_types(web: Client, version: ModelVersion) -> None:
    text = page(web, version)
    assert f'hx-get="{reverse("training:consequence", args=[version.pk])}"' in text
    assert "9 of 10 known defects flagged" in text
    # In full: a rounded number would lose a promise.
    assert f'value="{threshold_of(version).review_from!r}"' in text  # type: ignore[union-attr]


def test_setting_them_by_the_form(web: Client, version: ModelVersion) -> None:
    address = reverse("training:set-thresholds", args=[version.pk])
    fields = {"review_from": "1.8", "reject_from": "2.7", "note": "scrap is cheap"}
    text = web.post(address, fields, follow=True).content.decode()
    assert "Policy 3 has the thresholds from now on." in text
    assert "Set by engineer: scrap is cheap" in text
    threshold = threshold_of(version)
    assert threshold is not None
    assert (threshold.review_from, threshold.reject_from) == (1.8, 2.7)
    # Every figure at review_from speaks of the one in force.
    assert "2 of 10 known normals stopped" in text
    assert "2 of 10, 95 % interval, at review_from" in text
    again = web.post(address, fields, follow=True).content.decode()
    assert "nothing was changed" in again


def test_what_is_refused_stays_typed(web: Client, version: ModelVersion) -> None:
    address = reverse("training:set-thresholds", args=[version.pk])
    response = web.post(address, {"review_from": "2.5", "reject_from": "2.75", "note": ""})
    text = response.content.decode()
    assert response.status_code == 400
    assert "This field is required." in text
    assert 'value="2.75"' in text
    assert "5 of 10 known defects flagged" in text


def test_a_candidate_has_no_thresholds_to_set(web: Client, view: View) -> None:
    assert "Set the thresholds" not in page(web, candidate(view))


def test_a_serving_version_without_thresholds_has_an_empty_form(web: Client, view: View) -> None:
    assert "Set the thresholds" in page(web, factories.make_version(view))
