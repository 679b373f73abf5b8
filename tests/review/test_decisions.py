"""Answers and their undoing: append-only, once per key, first come first served."""

import threading
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from inspection.errors import ConflictError, DomainError, NotFoundError
from inspection.models import DefectType, Event, Outbox, Part, Person, Role, View
from review import hooks
from review.models import Decision, ReviewItem
from review.selectors.sight import may_see_model_says
from review.services.decisions import decision_record, decision_undo
from review.services.leases import item_lease_next
from review.services.looks import item_look
from tests import factories

pytestmark = pytest.mark.django_db


def decide(person: Person, item: ReviewItem, verdict: str = "good", **facts: Any) -> Decision:
    """Take the item and answer it."""
    item_lease_next(person=person, count=1, first=item.pk)
    return decision_record(
        person=person, item_id=item.pk, verdict=verdict, key=str(uuid.uuid4()), **facts
    )


def undo(person: Person, decision: Decision) -> Decision:
    return decision_undo(person=person, decision_id=decision.pk, key=str(uuid.uuid4()))


def waiting_for(person: Person) -> list[int]:
    return item_lease_next(person=person, count=10)


def told() -> list[str]:
    messages = Outbox.objects.filter(topic="line").order_by("id")
    return [message.payload["outcome"] for message in messages]


def test_an_answer_is_recorded_with_all_that_follows(view: View, operator: Person) -> None:
    heard: list[Decision] = []
    hooks.decision_recorded.register(heard.append)
    item = factories.make_review_item(view)
    scratch = DefectType.objects.create(product=item.product, name="scratch", key=1)
    decision = decide(
        operator, item, "defect", defect_types=[scratch.pk], note=" on the rim ", seconds=4.2
    )
    item.refresh_from_db()
    part = Part.objects.get(pk=item.part_id)
    assert (item.state, item.decision, item.leased_by) == ("answered", decision, None)
    assert (part.verdict, part.verdict_at) == ("defect", decision.at)
    assert (decision.note, decision.seconds, decision.looked_before) == ("on the rim", 4.2, False)
    assert list(decision.defect_types.all()) == [scratch]
    assert heard == [decision]
    assert told() == ["reject"]
    event = Event.objects.get(kind="decision.recorded")
    assert event.actor == operator
    assert event.data["defect_types"] == ["scratch"]


@pytest.mark.parametrize(
    ("outcome", "verdict", "messages"),
    [
        ("review", "good", ["pass"]),
        ("review", "defect", ["reject"]),
        ("review", "unsure", []),
        ("review", "reshoot", ["reshoot"]),
        ("reject", "defect", []),
        ("reject", "good", ["pass"]),
    ],
)
def test_the_line_hears_of_changes_only(
    view: View, operator: Person, outcome: str, verdict: str, messages: list[str]
) -> None:
    decide(operator, factories.make_routed(view, outcome).review_items.get(), verdict)
    assert told() == messages


def test_an_audit_that_finds_a_defect_calls_the_part_back(view: View, operator: Person) -> None:
    decide(operator, factories.make_review_item(view, audit=True), "defect")
    assert told() == ["reject"]


def test_the_same_key_is_the_same_answer(view: View, operator: Person) -> None:
    item = factories.make_review_item(view)
    item_lease_next(person=operator)
    key = str(uuid.uuid4())
    both = [
        decision_record(person=operator, item_id=item.pk, verdict="good", key=key) for _ in range(2)
    ]
    assert both[0] == both[1]
    assert Decision.objects.count() == Event.objects.count() == 1


def test_a_key_is_good_for_one_item(view: View, operator: Person) -> None:
    first, second = factories.make_review_item(view), factories.make_review_item(view)
    item_lease_next(person=operator)
    decision_record(person=operator, item_id=first.pk, verdict="good", key="k")
    with pytest.raises(ConflictError):
        decision_record(person=operator, item_id=second.pk, verdict="good", key="k")


def test_a_second_person_is_told_who_was_first_but_not_what(
    view: View, operator: Person, colleague: Person
) -> None:
    item = factories.make_review_item(view)
    first = decide(operator, item, "defect")
    with pytest.raises(ConflictError) as refusal:
        decide(colleague, item, "good")
    assert refusal.value.extra == {"by": "operator", "at": first.at.isoformat()}
    assert "defect" not in str(refusal.value)
    assert Decision.objects.count() == 1


def test_an_item_in_use_is_refused(view: View, operator: Person, colleague: Person) -> None:
    item = factories.make_review_item(view)
    item_lease_next(person=colleague)
    with pytest.raises(ConflictError) as refusal:
        decide(operator, item)
    assert refusal.value.extra["by"] == "colleague"
    assert not Decision.objects.exists()


def test_a_lease_that_ran_out_and_nobody_took_still_answers(view: View, operator: Person) -> None:
    item = factories.make_review_item(view)
    item_lease_next(person=operator)
    ReviewItem.objects.update(lease_until=timezone.now() - timedelta(minutes=5))
    decision_record(person=operator, item_id=item.pk, verdict="good", key="k")
    assert ReviewItem.objects.get().state == "answered"


@pytest.mark.parametrize("verdict", ["undone", "", "perfect"])
def test_other_words_are_no_answer(view: View, operator: Person, verdict: str) -> None:
    with pytest.raises(DomainError):
        decide(operator, factories.make_review_item(view), verdict)


def test_defect_types_belong_to_the_product_and_to_defects(view: View, operator: Person) -> None:
    item = factories.make_review_item(view)
    foreign = DefectType.objects.create(product=factories.make_product(), name="burr")
    own = DefectType.objects.create(product=item.product, name="dent")
    with pytest.raises(DomainError) as refusal:
        decide(operator, item, "defect", defect_types=[own.pk, foreign.pk])
    assert refusal.value.extra["defect_types"] == [foreign.pk]
    with pytest.raises(DomainError):
        decide(operator, item, "good", defect_types=[own.pk])


def test_only_deciders_of_the_line_answer(view: View) -> None:
    item = factories.make_review_item(view)
    stranger = factories.make_person("", Role.OPERATOR, line=factories.make_line("Line 9"))
    with pytest.raises(NotFoundError):
        decision_record(person=stranger, item_id=item.pk, verdict="good", key="k")


def test_a_receiver_that_fails_takes_everything_back(view: View, operator: Person) -> None:
    def fail(decision: Decision) -> None:
        raise RuntimeError("the pool is closed")

    hooks.decision_recorded.register(fail)
    item = factories.make_review_item(view)
    with pytest.raises(RuntimeError):
        decide(operator, item)
    item.refresh_from_db()
    assert item.state == "waiting"
    assert not Decision.objects.exists()
    assert not Outbox.objects.filter(topic="line").exists()


def test_undo_brings_the_item_back_to_the_same_person(
    view: View, operator: Person, colleague: Person
) -> None:
    item = factories.make_review_item(view)
    decision = decide(operator, item, "defect")
    undone = undo(operator, decision)
    item.refresh_from_db()
    assert (item.state, item.decision, item.leased_by) == ("waiting", None, operator)
    assert (undone.verdict, undone.supersedes) == ("undone", decision)
    assert Part.objects.get(pk=item.part_id).verdict == ""
    assert told() == ["reject", "review"]
    assert waiting_for(colleague) == []
    assert waiting_for(operator) == [item.pk]
    again = decide(operator, item, "good")
    assert again.looked_before  # the panel opened with the first answer
    assert Decision.objects.count() == 3
    assert [event.kind for event in Event.objects.order_by("id")] == [
        "decision.recorded",
        "decision.undone",
        "decision.recorded",
    ]


def test_undo_twice_with_one_key_is_one_undoing(view: View, operator: Person) -> None:
    decision = decide(operator, factories.make_review_item(view))
    first = decision_undo(person=operator, decision_id=decision.pk, key="u")
    assert decision_undo(person=operator, decision_id=decision.pk, key="u") == first
    with pytest.raises(ConflictError):
        decision_undo(person=operator, decision_id=decision.pk, key="v")


def test_nobody_undoes_for_somebody_else(view: View, operator: Person, supervisor: Person) -> None:
    decision = decide(operator, factories.make_review_item(view))
    with pytest.raises(NotFoundError):
        undo(supervisor, decision)


def test_an_old_answer_stays(view: View, operator: Person) -> None:
    decision = decide(operator, factories.make_review_item(view))
    Decision.objects.update(at=timezone.now() - timedelta(hours=13))
    with pytest.raises(ConflictError):
        undo(operator, decision)


def test_unsure_asks_another_person(view: View, operator: Person, colleague: Person) -> None:
    item = factories.make_review_item(view)
    decide(operator, item, "unsure")
    assert waiting_for(operator) == []
    (again,) = waiting_for(colleague)
    follow_up = ReviewItem.objects.get(pk=again)
    assert (follow_up.reason, follow_up.round) == (item.reason, 2)
    assert not may_see_model_says(colleague, item.part)
    decide(colleague, follow_up, "good")
    assert Part.objects.get(pk=item.part_id).verdict == "good"


def test_undoing_unsure_withdraws_the_follow_up(
    view: View, operator: Person, colleague: Person
) -> None:
    item = factories.make_review_item(view)
    undo(operator, decide(operator, item, "unsure"))
    assert waiting_for(colleague) == []
    decide(operator, item, "unsure")
    rounds = ReviewItem.objects.order_by("round").values_list("round", "state")
    assert list(rounds) == [(1, "answered"), (2, "withdrawn"), (3, "waiting")]


def test_unsure_cannot_be_undone_once_another_answered(
    view: View, operator: Person, colleague: Person
) -> None:
    first = decide(operator, factories.make_review_item(view), "unsure")
    decide(colleague, ReviewItem.objects.get(round=2), "good")
    with pytest.raises(ConflictError) as refusal:
        undo(operator, first)
    assert refusal.value.extra["by"] == "colleague"


def test_a_reshoot_of_a_flag_waits_for_new_pictures(
    view: View, operator: Person, colleague: Person
) -> None:
    item = factories.make_review_item(view)
    decide(operator, item, "reshoot")
    assert Part.objects.get(pk=item.part_id).verdict == "reshoot"
    assert waiting_for(colleague) == []


@pytest.mark.parametrize("verdict", ["good", "defect", "unsure", "reshoot"])
def test_an_audit_looked_at_goes_blind_to_another(
    view: View, operator: Person, colleague: Person, verdict: str
) -> None:
    item = factories.make_review_item(view, audit=True)
    item_lease_next(person=operator)
    item_look(person=operator, item_id=item.pk)
    decision = decide(operator, item, verdict)
    assert decision.looked_before
    assert waiting_for(operator) == []
    (again,) = waiting_for(colleague)
    assert ReviewItem.objects.get(pk=again).reason == "audit"


@pytest.mark.parametrize(("verdict", "others"), [("good", 0), ("defect", 0), ("reshoot", 1)])
def test_a_blind_audit_is_complete_with_good_or_defect(
    view: View, operator: Person, colleague: Person, verdict: str, others: int
) -> None:
    decide(operator, factories.make_review_item(view, audit=True), verdict)
    assert len(waiting_for(colleague)) == others


def test_a_flag_looked_at_asks_nobody_else(view: View, operator: Person, colleague: Person) -> None:
    item = factories.make_review_item(view)
    item_lease_next(person=operator)
    item_look(person=operator, item_id=item.pk)
    item_look(person=operator, item_id=item.pk)
    assert decide(operator, item).looked_before
    assert item.looks.count() == 1
    assert waiting_for(colleague) == []


def test_an_audit_looked_at_and_left_does_not_come_back(
    view: View, operator: Person, colleague: Person
) -> None:
    item = factories.make_review_item(view, audit=True)
    item_lease_next(person=operator)
    item_look(person=operator, item_id=item.pk)
    ReviewItem.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert waiting_for(operator) == []
    assert waiting_for(colleague) == [item.pk]


def test_an_undone_audit_counts_only_from_another_person(
    view: View, operator: Person, colleague: Person
) -> None:
    item = factories.make_review_item(view, audit=True)
    undo(operator, decide(operator, item, "defect"))
    decide(operator, item, "good")
    assert len(waiting_for(colleague)) == 1


def test_looking_needs_the_item_in_use(view: View, operator: Person, colleague: Person) -> None:
    item = factories.make_review_item(view)
    with pytest.raises(ConflictError):
        item_look(person=operator, item_id=item.pk)
    item_lease_next(person=colleague)
    with pytest.raises(ConflictError):
        item_look(person=operator, item_id=item.pk)


def test_what_the_model_says_opens_by_look_answer_or_watch(
    view: View, operator: Person, supervisor: Person
) -> None:
    item = factories.make_review_item(view)
    assert not may_see_model_says(operator, item.part)
    assert not may_see_model_says(supervisor, item.part)
    item_lease_next(person=operator)
    item_look(person=operator, item_id=item.pk)
    assert may_see_model_says(operator, item.part)
    assert not may_see_model_says(supervisor, item.part)
    decide(operator, item)
    assert may_see_model_says(supervisor, item.part)


@pytest.mark.django_db(transaction=True)
def test_of_two_answers_at_once_one_is_recorded(view: View) -> None:
    item = factories.make_review_item(view)
    people = [factories.make_person("", Role.OPERATOR) for _ in range(3)]
    refused: list[ConflictError] = []
    start = threading.Barrier(len(people))

    def answer(person: Person) -> None:
        start.wait()
        try:
            decision_record(person=person, item_id=item.pk, verdict="good", key=str(uuid.uuid4()))
        except ConflictError as refusal:
            refused.append(refusal)
        finally:
            connection.close()

    threads = [threading.Thread(target=answer, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Decision.objects.count() == Event.objects.count() == 1
    assert [set(refusal.extra) for refusal in refused] == [{"by", "at"}] * 2
