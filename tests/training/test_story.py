"""From a person's answer, through review's own services, to what the next model learns."""

import uuid

import pytest

from inspection.models import Person, View
from review.models import ReviewItem
from review.services.decisions import decision_record, decision_undo
from tests import factories
from tests.training.records import add_normal
from training.models import PoolEntry, Run
from training.services import execution
from training.services.execution import run_execute
from training.services.promotion import promote
from training.services.runs import run_request

pytestmark = pytest.mark.django_db


@pytest.fixture
def view() -> View:
    view = factories.make_view()
    factories.make_threshold(factories.make_version(view))
    return view


def answered(item: ReviewItem, person: Person, verdict: str) -> int:
    decision = decision_record(
        person=person, item_id=item.pk, verdict=verdict, key=str(uuid.uuid4()), seconds=2
    )
    return decision.pk


def test_an_answer_enters_the_pool_in_its_own_transaction(view: View, operator: Person) -> None:
    flag, audit = factories.make_review_item(view), factories.make_review_item(view, audit=True)
    answered(flag, operator, "good")
    answered(audit, operator, "good")
    found = {
        entry.image.part_id: (entry.state, entry.may_calibrate)
        for entry in PoolEntry.objects.select_related("image")
    }
    waits = PoolEntry.State.QUARANTINED
    assert found == {flag.part_id: (waits, False), audit.part_id: (waits, True)}


def test_undoing_takes_it_out_again(view: View, operator: Person) -> None:
    item = factories.make_review_item(view)
    decision = answered(item, operator, "good")
    decision_undo(person=operator, decision_id=decision, key=str(uuid.uuid4()))
    assert PoolEntry.objects.get().state == PoolEntry.State.WITHDRAWN
    answered(item, operator, "defect")
    assert PoolEntry.objects.get().state == PoolEntry.State.DEFECT


def test_what_was_said_is_learned_and_promoted(
    view: View, operator: Person, engineer: Person, settings: object, monkeypatch: object
) -> None:
    settings.QUARANTINE_H = 0  # type: ignore[attr-defined]
    monkeypatch.setattr(execution, "CHILD", "tests.training.children")  # type: ignore[attr-defined]
    for _ in range(6):
        add_normal(view)
    flag, defect = factories.make_review_item(view), factories.make_review_item(view)
    answered(flag, operator, "good")
    answered(defect, operator, "defect")
    run = run_execute(run_request(view=view, person=engineer).pk)
    assert run is not None
    assert run.state == Run.State.DONE
    assert run.snapshot is not None
    learned = set(run.snapshot.entries.values_list("image__part", flat=True))
    assert flag.part_id in learned
    assert defect.part_id not in learned
    assert run.model_version is not None
    promote(version=run.model_version, person=engineer, reason="learned from the shift")
    assert PoolEntry.objects.get(image__part=flag.part_id).state == PoolEntry.State.USED
