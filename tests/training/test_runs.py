"""Asking for a run, cancelling it, and recovering one."""

from datetime import timedelta

import pytest
from django.utils import timezone

from inspection.errors import ConflictError, NotAllowedError
from inspection.models import Event, Outbox, Person, Role, View
from tests import factories
from tests.training.records import add_normal, make_run
from training.errors import NothingNewError, RunOpenError
from training.models import PoolEntry, Run
from training.services.runs import (
    LEASE_S,
    run_cancel,
    run_claim,
    run_end,
    run_request,
    run_update,
    runs_sweep,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def view() -> View:
    view = factories.make_view()
    for _ in range(6):
        add_normal(view)
    return view


def test_a_request_is_a_row_a_bell_and_an_event(view: View, engineer: Person) -> None:
    run = run_request(view=view, person=engineer)
    assert run.state == Run.State.QUEUED
    assert run.snapshot is not None
    assert run.snapshot.image_count == 6
    bell = Outbox.objects.get(topic="train")
    assert bell.payload == {"run_id": run.pk}
    assert bell.sent_at is None
    assert Event.objects.get(kind="run.requested").actor == engineer


def test_a_request_ends_quarantine_that_is_over(view: View, engineer: Person) -> None:
    past = timezone.now() - timedelta(seconds=1)
    add_normal(view, state=PoolEntry.State.QUARANTINED, quarantine_until=past)
    run = run_request(view=view, person=engineer)
    assert run.snapshot is not None
    assert run.snapshot.image_count == 7


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.SUPERVISOR])
def test_only_makers_may_train(view: View, role: Role) -> None:
    person = factories.make_person("", role)
    with pytest.raises(NotAllowedError):
        run_request(view=view, person=person)
    elsewhere = factories.make_person("", Role.ENGINEER, line=factories.make_line("Line 9"))
    with pytest.raises(NotAllowedError):
        run_request(view=view, person=elsewhere)
    assert not Run.objects.exists()


def test_one_open_run_per_view(view: View, engineer: Person) -> None:
    run = run_request(view=view, person=engineer)
    with pytest.raises(RunOpenError) as caught:
        run_request(view=view, person=engineer)
    assert caught.value.extra == {"run": run.pk}


def test_an_unchanged_fingerprint_is_said_and_not_run_again(view: View, engineer: Person) -> None:
    run = run_request(view=view, person=engineer)
    claimed = run_claim(run_id=run.pk)
    assert claimed is not None
    run_end(claimed, Run.State.DONE, model_version=factories.make_version(view))
    with pytest.raises(NothingNewError, match=f"run {run.pk} made v1"):
        run_request(view=view, person=engineer)
    assert Run.objects.count() == 1
    add_normal(view)
    assert run_request(view=view, person=engineer).snapshot != run.snapshot


def test_a_failed_run_may_be_asked_for_again(view: View, engineer: Person) -> None:
    run = run_request(view=view, person=engineer)
    claimed = run_claim(run_id=run.pk)
    assert claimed is not None
    run_end(claimed, Run.State.FAILED, "broken")
    assert run_request(view=view, person=engineer).snapshot == run.snapshot


def test_only_the_first_model_promotes_itself(view: View, engineer: Person) -> None:
    factories.make_version(view)
    assert not run_request(view=view, person=engineer, promote_when_done=True).promote_when_done


def test_a_run_is_claimed_once(view: View) -> None:
    run = make_run(view)
    first = run_claim(run_id=run.pk)
    assert first is not None
    assert first.attempts == 1
    assert run_claim(run_id=run.pk) is None
    assert run_claim() is None


def test_a_poller_leaves_fresh_runs_to_the_bell(view: View) -> None:
    make_run(view)
    assert run_claim(waited_s=5) is None
    assert run_claim(waited_s=0) is not None


def test_a_lost_lease_writes_nothing(view: View) -> None:
    run = run_claim(run_id=make_run(view).pk)
    assert run is not None
    Run.objects.filter(pk=run.pk).update(lease_token="somebody else")
    assert run_update(run, note="mine") is False
    assert run_end(run, Run.State.DONE) is False
    run.refresh_from_db()
    assert run.state == Run.State.RUNNING
    assert run.note == "starting"


def test_a_dead_workers_run_is_queued_once_more_then_failed(view: View) -> None:
    run = make_run(view)
    for expected in (Run.State.QUEUED, Run.State.FAILED):
        assert run_claim(run_id=run.pk) is not None
        assert runs_sweep() == 0, "its lease still runs"
        assert runs_sweep(now=timezone.now() + timedelta(seconds=LEASE_S + 1)) >= 1
        run.refresh_from_db()
        assert run.state == expected
    assert "2 times" in run.reason
    assert run.finished_at is not None


def test_a_cancelled_run_of_a_dead_worker_ends_cancelled(view: View, engineer: Person) -> None:
    run = make_run(view)
    assert run_claim(run_id=run.pk) is not None
    run_cancel(run=run, person=engineer)
    runs_sweep(now=timezone.now() + timedelta(seconds=LEASE_S + 1))
    run.refresh_from_db()
    assert run.state == Run.State.CANCELLED


def test_a_lost_bell_is_rung_again_once_per_lease(view: View) -> None:
    old = timezone.now() - timedelta(seconds=2 * LEASE_S)
    run = make_run(view, queued_at=old)
    assert runs_sweep() == 1
    assert runs_sweep() == 0
    assert Outbox.objects.filter(topic="train").count() == 1
    assert Outbox.objects.get().payload == {"run_id": run.pk}


def test_cancel_of_a_waiting_run_ends_it_at_once(view: View, engineer: Person) -> None:
    run = make_run(view)
    run_cancel(run=run, person=engineer)
    run.refresh_from_db()
    assert run.state == Run.State.CANCELLED
    assert engineer.display_name in run.reason
    with pytest.raises(ConflictError):
        run_cancel(run=run, person=engineer)


def test_cancel_needs_the_role(view: View, operator: Person) -> None:
    run = make_run(view)
    with pytest.raises(NotAllowedError):
        run_cancel(run=run, person=operator)
    run.refresh_from_db()
    assert run.state == Run.State.QUEUED
