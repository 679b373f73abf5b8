"""Hold and release, and what the line is told of them."""

import pytest

from inspection.errors import ConflictError, DomainError, NotAllowedError
from inspection.models import Event, Outbox, Person, Role
from inspection.services.parts import part_hold, part_release
from tests import factories

pytestmark = pytest.mark.django_db


def test_hold_and_release_are_told_to_the_line_and_logged(
    operator: Person, supervisor: Person
) -> None:
    part = factories.make_part(serial="R1")
    part_hold(part=part, person=operator, reason="  oil  on it ")
    assert (part.held_by, part.hold_reason) == (operator, "oil on it")
    part_release(part=part, person=supervisor)
    assert (part.held_at, part.held_by, part.hold_reason) == (None, None, "")
    told = list(Outbox.objects.order_by("id"))
    assert [message.topic for message in told] == ["line", "line"]
    assert [message.line for message in told] == [part.line, part.line]
    assert [message.payload["held"] for message in told] == [True, False]
    assert told[1].payload["reason"] == "oil on it"
    assert list(Event.objects.order_by("id").values_list("kind", flat=True)) == [
        "part.hold",
        "part.release",
    ]


def test_a_held_part_is_not_held_twice(operator: Person, supervisor: Person) -> None:
    part = factories.make_part()
    part_hold(part=part, person=operator, reason="oil")
    with pytest.raises(ConflictError):
        part_hold(part=part, person=supervisor, reason="dust")
    part.refresh_from_db()
    assert part.hold_reason == "oil"


def test_what_is_not_held_cannot_be_released(supervisor: Person) -> None:
    with pytest.raises(ConflictError):
        part_release(part=factories.make_part(), person=supervisor)
    assert not Outbox.objects.exists()


def test_a_hold_needs_a_reason(operator: Person) -> None:
    with pytest.raises(DomainError):
        part_hold(part=factories.make_part(), person=operator, reason=" ")


def test_rights(operator: Person, outsider: Person) -> None:
    part = factories.make_part()
    elsewhere = factories.make_person("x", Role.ADMIN, line=factories.make_line("Line 9"))
    for person in (outsider, elsewhere):
        with pytest.raises(NotAllowedError):
            part_hold(part=part, person=person, reason="oil")
    part_hold(part=part, person=operator, reason="oil")
    with pytest.raises(NotAllowedError):
        part_release(part=part, person=operator)
