"""The golden reference of a view: the first model brings one, an engineer chooses another."""

from contextlib import closing

import pytest
from django.test import Client
from django.urls import reverse

from inspection.errors import ConflictError, NotAllowedError
from inspection.models import Event, Image, Part, Person, Role, View
from inspection.selectors.references import reference_choices
from inspection.services.references import reference_set
from review.models import ReviewItem
from review.selectors.station import station_items
from review.services.decisions import decision_record, decision_undo
from tests import factories
from tests.conftest import client_of
from tests.training.records import add_normal
from tests.training.test_promotion import candidate
from training.models import Attestation, PoolEntry
from training.services.promotion import promote

pytestmark = pytest.mark.django_db
BUTTON = "Use as golden reference"


@pytest.fixture
def view() -> View:
    view = factories.make_view()
    factories.make_threshold(factories.make_version(view))
    return view


def reference_of(view: View) -> int | None:
    view.refresh_from_db()
    return view.reference_image_id


def said(item: ReviewItem, person: Person, verdict: str) -> int:
    key = f"{item.pk} {verdict}"
    return decision_record(person=person, item_id=item.pk, verdict=verdict, key=key).pk


def page(person: Person, part: Part) -> str:
    return client_of(person).get(reverse("inspection:part", args=[part.pk])).content.decode()


def use(client: Client, image: Image, part: Part | None = None) -> int:
    place = reverse("inspection:part-reference", args=[(part or image.part).pk, image.pk])
    return client.post(place).status_code


def test_the_first_model_brings_a_normal_that_somebody_vouched_for(engineer: Person) -> None:
    view = factories.make_view()
    batch = Attestation.objects.create(
        view=view, person=engineer, reason="set-up", count=1,
        at=factories.minutes_ago(1),
    )  # fmt: skip
    add_normal(view, state=PoolEntry.State.WITHDRAWN, attestation=batch)
    add_normal(view, may_calibrate=False, attestation=batch)
    add_normal(view)
    wanted = add_normal(view, attestation=batch)
    add_normal(view, attestation=batch)
    promote(version=candidate(view), person=engineer, reason="first")
    assert reference_of(view) == wanted.image_id
    event = Event.objects.get(kind="reference.set")
    assert event.actor == engineer
    assert event.data == {"image": wanted.image_id, "sha256": wanted.image.blob_id, "before": None}


def test_a_reference_that_is_set_stays(engineer: Person) -> None:
    view = factories.make_view()
    add_normal(view)
    chosen = add_normal(view).image
    reference_set(image=chosen, person=engineer)
    promote(version=candidate(view), person=engineer, reason="first")
    assert reference_of(view) == chosen.pk


def test_a_model_without_normals_at_hand_serves_all_the_same(engineer: Person) -> None:
    view = factories.make_view()
    promote(version=candidate(view), person=engineer, reason="first")
    assert reference_of(view) is None


def test_the_station_shows_it(view: View, engineer: Person, operator: Person) -> None:
    item = factories.make_review_item(view)
    assert station_items(operator, [item.pk])[0]["images"][0]["reference_url"] is None
    image = add_normal(view).image
    reference_set(image=image, person=engineer)
    address = station_items(operator, [item.pk])[0]["images"][0]["reference_url"]
    assert address == reverse("image-preview", args=[image.pk])
    with closing(client_of(operator).get(address)) as response:
        assert response.status_code == 200


def test_an_engineer_chooses_a_normal_on_its_parts_page(
    view: View, engineer: Person, supervisor: Person
) -> None:
    image = add_normal(view).image
    assert BUTTON in page(engineer, image.part)
    assert BUTTON not in page(supervisor, image.part)
    assert use(client_of(supervisor), image) == 403
    assert use(client_of(engineer), image) == 302
    assert reference_of(view) == image.pk
    text = page(engineer, image.part)
    assert "golden reference of face" in text
    assert BUTTON not in text
    assert use(client_of(engineer), image) == 409
    assert use(client_of(engineer), image, add_normal(view).image.part) == 404


def test_a_part_said_good_may_be_one_and_others_may_not(
    view: View, engineer: Person, operator: Person
) -> None:
    good, defect, open_item = (factories.make_review_item(view) for _ in range(3))
    passed = factories.make_routed(view, "pass", value=1.0).part
    said(good, operator, "good")
    said(defect, operator, "defect")
    assert BUTTON in page(engineer, good.part)
    for part in (defect.part, open_item.part, passed):
        assert BUTTON not in page(engineer, part)
        with pytest.raises(ConflictError, match="Only a verified normal"):
            reference_set(image=part.images.get(), person=engineer)
    assert reference_of(view) is None


def test_a_part_in_review_is_not_offered_whatever_was_said(view: View, engineer: Person) -> None:
    entry = add_normal(view)
    part = entry.image.part
    Part.objects.filter(pk=part.pk).update(verdict=Part.Verdict.GOOD)
    factories.make_open_item(factories.make_routing(part), reason="second opinion")
    part.refresh_from_db()
    assert reference_choices(part) == set()
    assert BUTTON not in page(engineer, part)
    assert use(client_of(engineer), entry.image) == 409


def test_a_good_part_shows_only_its_present_round(view: View) -> None:
    part = factories.make_part(view.product, verdict=Part.Verdict.GOOD, round=2)
    factories.make_image(view, part, round=1)
    present = factories.make_image(view, part, round=2)
    factories.make_image(view, part, round=2, state=Image.State.FAILED)
    assert reference_choices(part) == {present.pk}


def test_an_engineer_of_another_line_chooses_nothing(view: View) -> None:
    image = add_normal(view).image
    elsewhere = factories.make_person("", Role.ENGINEER, line=factories.make_line("Line 9"))
    with pytest.raises(NotAllowedError):
        reference_set(image=image, person=elsewhere)
    assert use(client_of(elsewhere), image) == 404


def test_what_is_no_longer_good_is_no_reference(
    view: View, engineer: Person, operator: Person
) -> None:
    item = factories.make_review_item(view)
    decision = said(item, operator, "good")
    reference_set(image=item.part.images.get(), person=engineer)
    decision_undo(person=operator, decision_id=decision, key="undo")
    assert reference_of(view) is None
    assert Event.objects.filter(kind="reference.set").latest("id").data["image"] is None


def test_an_answer_about_another_part_leaves_it(
    view: View, engineer: Person, operator: Person
) -> None:
    image = add_normal(view).image
    reference_set(image=image, person=engineer)
    said(factories.make_review_item(view), operator, "defect")
    assert reference_of(view) == image.pk
