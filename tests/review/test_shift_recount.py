"""The numbers of the shift page against a slow recount from the log, over random histories."""

import random
import uuid
from typing import Any

import pytest

from inspection.errors import DomainError
from inspection.models import Person, Role, Routing, View
from review.estimates import numbers_of
from review.models import Decision, Look, ReviewItem
from review.selectors.shift import (
    COMPLETED,
    OPEN,
    SET_ASIDE,
    Scope,
    counts_of,
    scope_for,
    site_of,
    zone_of,
)
from review.services.decisions import decision_record, decision_undo
from review.services.leases import item_defer, item_lease_next
from review.services.looks import item_look
from review.windows import window_of
from tests import factories

pytestmark = pytest.mark.django_db


def scope_of(person: Person, name: str = "today", **chosen: Any) -> Scope:
    return scope_for(person, window_of(name, "", "", zone_of(site_of(person))), **chosen)


def random_history(rng: random.Random, people: list[Person], steps: int) -> None:
    """Let people look, answer, undo and defer at random; refusals are part of it."""
    for _ in range(steps):
        person = rng.choice(people)
        move = rng.random()
        try:
            if move < 0.2:
                mine = Decision.objects.filter(person=person).exclude(verdict="undone")
                numbers = list(mine.values_list("pk", flat=True))
                if numbers:
                    decision_undo(
                        person=person, decision_id=rng.choice(numbers), key=str(uuid.uuid4())
                    )
                continue
            taken = item_lease_next(person=person, count=rng.randint(1, 3))
            if not taken:
                continue
            item = rng.choice(taken)
            if move < 0.3:
                item_defer(person=person, item_id=item)
                continue
            if move < 0.45:
                item_look(person=person, item_id=item)
            verdict = rng.choice(["good", "good", "defect", "defect", "unsure", "reshoot"])
            decision_record(
                person=person,
                item_id=item,
                verdict=verdict,
                key=str(uuid.uuid4()),
                seconds=rng.uniform(1, 9),
            )
        except DomainError:
            continue


def recount(routings: list[Routing]) -> dict[str, int]:
    """Count from the append-only log alone: an answer stands unless a later record undoes it."""
    found = dict.fromkeys(
        ("confirmed", "false_alarms", "audits", "misses", "unfinished", "waiting"), 0
    )
    undone = set(Decision.objects.filter(verdict="undone").values_list("supersedes_id", flat=True))
    for routing in routings:
        standing = [
            decision
            for decision in Decision.objects.filter(item__routing=routing).order_by("id")
            if decision.verdict != "undone" and decision.pk not in undone
        ]
        firm = [one for one in standing if one.verdict in ("good", "defect")]
        if routing.outcome in ("review", "reject"):
            found["confirmed"] += sum(one.verdict == "defect" for one in firm)
            found["false_alarms"] += sum(one.verdict == "good" for one in firm)
        if routing.is_audit:
            blind = [one for one in firm if not knew(one)]
            assert len(blind) <= 1
            found["audits"] += len(blind)
            found["misses"] += sum(one.verdict == "defect" for one in blind)
            found["unfinished"] += not blind
    return found


def knew(decision: Decision) -> bool:
    """Whether the person had seen the model's word: a look, or an earlier answer to the item."""
    before = {"item": decision.item, "person": decision.person}
    return (
        Look.objects.filter(**before, at__lte=decision.at).exists()
        or Decision.objects.filter(**before, pk__lt=decision.pk).exists()
    )


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5, 6])
def test_the_page_counts_what_the_log_says(seed: int, view: View, supervisor: Person) -> None:
    rng = random.Random(seed)
    people = [factories.make_person("", Role.OPERATOR) for _ in range(3)]
    for _ in range(14):
        if rng.random() < 0.6:
            factories.make_routed(view, rng.choice(["review", "reject"]))
        else:
            factories.make_review_item(view, audit=True, surprise_band=rng.randint(0, 3))
    factories.make_routed(view, "pass", value=1.0, surprise_band=0)
    random_history(rng, people, 45)
    counts = counts_of(scope_of(supervisor))
    numbers = numbers_of(counts, {view.product_id: view.product.policies.get()})
    slow = recount(list(Routing.objects.all()))
    assert (numbers.confirmed, numbers.false_alarms) == (slow["confirmed"], slow["false_alarms"])
    assert (numbers.misses.rate.audits, counts.misses) == (slow["audits"], slow["misses"])
    assert counts.audits_with(OPEN, SET_ASIDE) == slow["unfinished"]
    seconds = sum(decision.seconds for decision in Decision.objects.all())
    assert sum(counts.review_seconds.values()) == pytest.approx(seconds)
    assert numbers.seen == Routing.objects.count()


def test_undone_answers_are_in_no_number(view: View, operator: Person, supervisor: Person) -> None:
    item = factories.make_review_item(view)
    item_lease_next(person=operator)
    decision = decision_record(person=operator, item_id=item.pk, verdict="defect", key="d")
    assert numbers_of(counts_of(scope_of(supervisor)), {}).confirmed == 1
    decision_undo(person=operator, decision_id=decision.pk, key="u")
    assert numbers_of(counts_of(scope_of(supervisor)), {}).confirmed == 0


def test_an_audit_deferred_or_looked_at_is_set_aside(
    view: View, operator: Person, supervisor: Person, colleague: Person
) -> None:
    item = factories.make_review_item(view, audit=True)
    assert counts_of(scope_of(supervisor)).audits_with(OPEN) == 1
    item_lease_next(person=operator)
    item_defer(person=operator, item_id=item.pk)
    counts = counts_of(scope_of(supervisor))
    assert counts.audits_with(SET_ASIDE) == 1
    worst = numbers_of(counts, {}).misses.worst
    assert worst is not None
    assert (worst.audits, worst.misses) == (1, 1)
    item_lease_next(person=colleague)
    decision_record(person=colleague, item_id=item.pk, verdict="good", key="d")
    assert counts_of(scope_of(supervisor)).audits_with(COMPLETED) == 1


def test_product_line_and_membership_narrow_the_numbers(view: View, supervisor: Person) -> None:
    factories.make_routed(view)
    elsewhere = factories.make_view(factories.make_product(line=factories.make_line("Line 9")))
    factories.make_routed(elsewhere, "pass")
    assert counts_of(scope_of(supervisor)).parts() == 2
    assert counts_of(scope_of(supervisor, product=view.product_id)).parts() == 1
    assert counts_of(scope_of(supervisor, line=elsewhere.product.line_id)).parts("pass") == 1
    local = factories.make_person("", Role.SUPERVISOR, line=view.product.line)
    assert counts_of(scope_of(local)).parts() == 1
    assert counts_of(scope_of(local, line=elsewhere.product.line_id)).parts() == 0
    assert ReviewItem.objects.count() == 1
