"""Whether a line runs, as the top bar says it."""

import pytest

from inspection.models import Person, Role
from inspection.selectors import line_state
from tests import factories

pytestmark = pytest.mark.django_db


def test_without_images_nothing_runs(operator: Person) -> None:
    assert line_state(person=operator) == {"running": False, "text": "No image yet", "since": None}


def test_a_fresh_live_image_makes_its_line_run(operator: Person) -> None:
    job = factories.make_job()
    state = line_state(person=operator)
    assert state is not None
    assert state["running"] is True
    assert state["text"] == "Line 2 running"
    assert state["since"] == job.image.received_at


def test_an_old_image_leaves_it_quiet(operator: Person) -> None:
    factories.make_job(factories.make_image(received_at=factories.minutes_ago(5)))
    state = line_state(person=operator)
    assert state is not None
    assert (state["running"], state["text"]) == (False, "Line 2 quiet")


def test_imported_normals_do_not_make_it_run(operator: Person) -> None:
    factories.make_image()
    state = line_state(person=operator)
    assert state is not None
    assert state["text"] == "No image yet"


def test_only_the_lines_of_the_person_count() -> None:
    factories.make_job()
    elsewhere = factories.make_person(
        "elsewhere", Role.OPERATOR, line=factories.make_line("Line 9")
    )
    state = line_state(person=elsewhere)
    assert state is not None
    assert state["text"] == "No image yet"
