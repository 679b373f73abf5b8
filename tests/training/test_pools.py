"""Where an image goes by what people said."""

from datetime import timedelta

import pytest
from django.utils import timezone

from inspection.blobs import blob_store
from inspection.models import HealthSample, Image, Person, Role, View
from review.models import Decision, ReviewItem
from tests import factories
from tests.training.records import add_normal, answer, entry_of, make_item
from training.models import GoldenEntry, PoolEntry
from training.services.pools import DISPUTED, pools_release

pytestmark = pytest.mark.django_db
V = Decision.Verdict
State = PoolEntry.State


@pytest.fixture
def view() -> View:
    return factories.make_view()


@pytest.fixture
def other() -> Person:
    return factories.make_person("other", Role.OPERATOR)


def test_good_on_a_flag_waits_and_never_calibrates(
    view: View, operator: Person, settings: object
) -> None:
    settings.QUARANTINE_H = 24  # type: ignore[attr-defined]
    item = make_item(view)
    decision = answer(item, operator, V.GOOD)
    entry = entry_of(item)
    assert entry.state == State.QUARANTINED
    assert entry.quarantine_until == decision.at + timedelta(hours=24)
    assert entry.may_calibrate is False
    assert entry.added_by == operator
    assert entry.decision == decision


def test_good_in_an_audit_may_calibrate_by_its_chance(view: View, operator: Person) -> None:
    item = make_item(
        view, outcome="pass", reason=ReviewItem.Reason.AUDIT, is_audit=True, audit_probability=0.05
    )
    answer(item, operator, V.GOOD)
    entry = entry_of(item)
    assert entry.may_calibrate is True
    assert entry.selection_probability == 0.05


def test_a_second_opinion_on_a_flag_does_not_calibrate(view: View, operator: Person) -> None:
    first = make_item(view)
    second = make_item(routing=first.routing, reason=ReviewItem.Reason.SECOND_OPINION)
    answer(second, operator, V.GOOD)
    assert entry_of(second).may_calibrate is False


def test_defect_goes_to_the_library(view: View, operator: Person) -> None:
    item = make_item(view)
    answer(item, operator, V.DEFECT)
    assert entry_of(item).state == State.DEFECT


@pytest.mark.parametrize("verdict", [V.UNSURE, V.RESHOOT])
def test_no_clear_answer_makes_no_entry(view: View, operator: Person, verdict: str) -> None:
    item = make_item(view)
    answer(item, operator, verdict)
    assert not PoolEntry.objects.exists()


def test_undone_is_withdrawn_and_a_new_answer_counts(view: View, operator: Person) -> None:
    item = make_item(view)
    first = answer(item, operator, V.GOOD)
    answer(item, operator, V.UNDONE, supersedes=first)
    entry = entry_of(item)
    assert entry.state == State.WITHDRAWN
    assert entry.why == "no answer stands"
    answer(item, operator, V.DEFECT)
    assert entry_of(item).state == State.DEFECT


def test_disputed_is_withdrawn_until_one_of_them_takes_it_back(
    view: View, operator: Person, other: Person
) -> None:
    item = make_item(view)
    good = answer(item, operator, V.GOOD)
    second = make_item(routing=item.routing, reason=ReviewItem.Reason.SECOND_OPINION)
    defect = answer(second, other, V.DEFECT)
    entry = entry_of(item)
    assert (entry.state, entry.why) == (State.WITHDRAWN, DISPUTED)
    assert pools_release(now=timezone.now() + timedelta(days=30)) == 0
    answer(second, other, V.UNDONE, supersedes=defect)
    entry = entry_of(item)
    assert entry.state == State.QUARANTINED
    assert entry.decision == good


def test_golden_images_never_enter(view: View, operator: Person) -> None:
    item = make_item(view)
    image = Image.objects.get(part=item.part)
    GoldenEntry.objects.create(image=image, view=view, is_defect=False, added_at=timezone.now())
    answer(item, operator, V.GOOD)
    assert not PoolEntry.objects.exists()


def test_golden_bytes_under_another_key_never_enter(view: View, operator: Person) -> None:
    item = make_item(view)
    image = Image.objects.get(part=item.part)
    data = blob_store().read(image.blob_id)
    again = factories.make_image(view, data=data, capture_key="shown again")
    GoldenEntry.objects.create(image=again, view=view, is_defect=False, added_at=timezone.now())
    answer(item, operator, V.GOOD)
    assert not PoolEntry.objects.exists()


def test_seeded_known_parts_teach_nothing(view: View, operator: Person) -> None:
    answer(make_item(view, reason=ReviewItem.Reason.SEEDED), operator, V.GOOD)
    assert not PoolEntry.objects.exists()


def test_failed_and_unhealthy_images_do_not_enter(view: View, operator: Person) -> None:
    failed = make_item(view, image_fields={"state": Image.State.FAILED})
    answer(failed, operator, V.GOOD)
    dark = make_item(view)
    HealthSample.objects.create(
        image=Image.objects.get(part=dark.part), brightness=3, contrast=1, sharpness=1,
        is_healthy=False,
    )  # fmt: skip
    answer(dark, operator, V.GOOD)
    assert not PoolEntry.objects.exists()


def test_only_images_of_the_answered_round_move(view: View, operator: Person) -> None:
    item = make_item(view)
    later = factories.make_image(view, item.part, round=2, state=Image.State.SCORED)
    answer(item, operator, V.GOOD)
    assert not PoolEntry.objects.filter(image=later).exists()
    assert PoolEntry.objects.count() == 1


def test_release_after_quarantine_only(view: View, operator: Person, settings: object) -> None:
    settings.QUARANTINE_H = 24  # type: ignore[attr-defined]
    item = make_item(view)
    answer(item, operator, V.GOOD)
    now = timezone.now()
    assert pools_release(now=now + timedelta(hours=23)) == 0
    assert pools_release(now=now + timedelta(hours=25)) == 1
    assert entry_of(item).state == State.VERIFIED
    answer(make_item(routing=item.routing, reason="second opinion"), operator, V.GOOD)
    assert entry_of(item).state == State.VERIFIED, "one more good does not quarantine it again"


def test_an_attested_image_follows_a_defect_and_comes_back(
    view: View, operator: Person, engineer: Person
) -> None:
    from training.models import Attestation

    batch = Attestation.objects.create(
        person=engineer, view=view, reason="looked at", count=1, at=timezone.now()
    )
    entry = add_normal(view, attestation=batch)
    Image.objects.filter(pk=entry.image_id).update(state=Image.State.SCORED)
    item = make_item(routing=factories.make_routing(entry.image.part))
    decision = answer(item, operator, V.DEFECT)
    assert entry_of(item).state == State.DEFECT
    answer(item, operator, V.UNDONE, supersedes=decision)
    assert entry_of(item).state == State.VERIFIED
    assert entry_of(item).may_calibrate is True


def test_release_of_one_view_leaves_the_others(view: View, operator: Person) -> None:
    past = timezone.now() - timedelta(minutes=1)
    mine = add_normal(view, state=State.QUARANTINED, quarantine_until=past)
    other = add_normal(
        factories.make_view(), state=State.QUARANTINED, quarantine_until=past
    )  # fmt: skip
    assert pools_release(view=view) == 1
    mine.refresh_from_db()
    other.refresh_from_db()
    assert (mine.state, other.state) == (State.VERIFIED, State.QUARANTINED)
