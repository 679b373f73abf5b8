"""Runs: asking for one, cancelling, claiming, recovering after a crash. See ``execution``.

The row is the queue of record. Whoever works on a run holds its lease; every write of a worker
names the lease, so that a worker that lost it changes nothing any more.
"""

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from inspection.access import MAKERS, require
from inspection.errors import ConflictError
from inspection.models import Outbox, Person, View
from inspection.services.events import event_record
from training.errors import NothingNewError, RunOpenError
from training.models import Run
from training.services.pools import pools_release
from training.services.snapshots import snapshot_create

LEASE_S = 60
MAX_ATTEMPTS = 2  # queued again once, then failed with words
OPEN_STATES = (Run.State.QUEUED, Run.State.RUNNING)
LOG_MAX_CHARS = 20_000


def run_request(
    *,
    view: View,
    person: Person | None,
    trigger: str = Run.Trigger.BUTTON,
    method: str = "patchcore",
    config: Mapping[str, Any] | None = None,
    seed: int = 0,
    slot: str | None = None,
    promote_when_done: bool = False,
) -> Run:
    """Queue a training of a view on what may be learned now, and ring the worker's bell.

    Args:
        view: What to train.
        person: Who asks; ``None`` for the schedule.
        trigger: Why.
        method: The detector's method.
        config: Its settings.
        seed: Of everything random in it.
        slot: One run per slot, however many ask.
        promote_when_done: Let it serve at once; only honoured while nothing ever served the view.

    Raises:
        NotAllowedError: Not an engineer or administrator of the line.
        TooFewNormalsError: Not enough verified normals.
        RunOpenError: A run of this view waits or works already.
        NothingNewError: A finished run learned exactly this.
    """
    if person is not None:
        require(person, view.product.line, MAKERS)
    settings = dict(config or {})
    with transaction.atomic():
        # One request at a time per view: the check for an open run and its making are one step.
        View.objects.select_for_update().get(pk=view.pk)
        pools_release(view=view)
        open_run = Run.objects.filter(view=view, state__in=OPEN_STATES).first()
        if open_run is not None:
            raise RunOpenError(
                f"Run {open_run.pk} of this view is {open_run.get_state_display()} already.",
                {"run": open_run.pk},
            )
        snapshot = snapshot_create(view=view, method=method, config=settings)
        done = Run.objects.filter(
            view=view, snapshot=snapshot, seed=seed, method=method, state=Run.State.DONE
        ).first()
        if done is not None:
            raise NothingNewError(
                f"Nothing has changed since run {done.pk} made {done.model_version}: the same "
                "images, labels and settings would give the same model.",
                {"run": done.pk},
            )
        run = Run.objects.create(
            view=view, snapshot=snapshot, trigger=trigger, slot=slot, method=method,
            config=settings, seed=seed, requested_by=person, queued_at=timezone.now(),
            promote_when_done=promote_when_done and not view.promotions.exists(),
        )  # fmt: skip
        _ring(run)
        event_record(
            kind="run.requested", subject=f"run:{run.pk}", actor=person,
            data={"view": view.pk, "trigger": trigger, "snapshot": snapshot.fingerprint},
        )  # fmt: skip
    return run


def _ring(run: Run) -> None:
    Outbox.objects.create(topic="train", payload={"run_id": run.pk})


@transaction.atomic
def run_cancel(*, run: Run, person: Person) -> None:
    """Stop a run: at once while it waits, within seconds while it works.

    Raises:
        NotAllowedError: Not an engineer or administrator of the line.
        ConflictError: It has ended already.
    """
    require(person, run.view.product.line, MAKERS)
    now = timezone.now()
    who = f"cancelled by {person.display_name}"
    waiting = Run.objects.filter(pk=run.pk, state=Run.State.QUEUED).update(
        state=Run.State.CANCELLED, cancel_requested_at=now, finished_at=now, reason=who
    )
    working = Run.objects.filter(pk=run.pk, state=Run.State.RUNNING).update(
        cancel_requested_at=now, reason=who
    )
    if not waiting + working:
        raise ConflictError("This run has ended already.")
    event_record(kind="run.cancelled", subject=f"run:{run.pk}", actor=person)


def run_claim(
    *, run_id: int | None = None, waited_s: float = 0, now: datetime | None = None
) -> Run | None:
    """Return a waiting run, now ours under a lease; else ``None``.

    Args:
        run_id: This one; ``None`` for the oldest.
        waited_s: Only if it has waited so long.
        now: The time, for tests.
    """
    now = now or timezone.now()
    waiting = Run.objects.filter(
        state=Run.State.QUEUED, queued_at__lte=now - timedelta(seconds=waited_s)
    )
    if run_id is not None:
        waiting = waiting.filter(pk=run_id)
    for pk in waiting.order_by("queued_at", "id").values_list("pk", flat=True)[:5]:
        token = str(uuid.uuid4())
        won = Run.objects.filter(pk=pk, state=Run.State.QUEUED).update(
            state=Run.State.RUNNING,
            lease_token=token,
            lease_until=now + timedelta(seconds=LEASE_S),
            attempts=F("attempts") + 1,
            started_at=now,
            finished_at=None,
            done_steps=0,
            total_steps=0,
            note="starting",
            stage_seconds={},
            reason="",
        )
        if won == 1:
            return Run.objects.select_related("view__product__line__site", "snapshot").get(pk=pk)
    return None


def run_update(run: Run, **fields: Any) -> bool:
    """Write fields of a run we hold; returns whether the lease was still ours."""
    return (
        Run.objects.filter(pk=run.pk, state=Run.State.RUNNING, lease_token=run.lease_token).update(
            **fields
        )
        == 1
    )


def run_log(run: Run, line: str) -> None:
    """Add a line with its time to the run's log."""
    zone = ZoneInfo(run.view.product.line.site.time_zone)
    text = f"{timezone.now().astimezone(zone):%H:%M:%S} {line.rstrip()}\n"
    run.log = (run.log + text)[-LOG_MAX_CHARS:]
    run_update(run, log=run.log)


def run_end(run: Run, state: str, reason: str = "", **fields: Any) -> bool:
    """End a run we hold; returns whether the lease was still ours."""
    return run_update(
        run, state=state, reason=reason[:500], finished_at=timezone.now(), lease_until=None,
        lease_token="", **fields,
    )  # fmt: skip


@transaction.atomic
def run_give_back(run: Run, reason: str, *, counts: bool = True) -> str:
    """Queue a run again whose work broke off, or fail it after the second time.

    Returns the state it is in now; nothing half-made stays either way. ``counts=False``: the
    worker was asked to end, which is nobody's fault and no attempt.
    """
    if not counts:
        run_update(run, attempts=F("attempts") - 1)
    if run.attempts < MAX_ATTEMPTS or not counts:
        if run_update(
            run, state=Run.State.QUEUED, lease_token="", lease_until=None, reason=reason[:500],
            note="waiting to start again",
        ):  # fmt: skip
            _ring(run)
        return Run.State.QUEUED
    words = f"{reason} It broke off {run.attempts} times; it is not started again by itself."
    run_end(run, Run.State.FAILED, words)
    return Run.State.FAILED


def runs_sweep(*, now: datetime | None = None) -> int:
    """Recover runs whose worker is gone, and ring again for runs that nobody took; returns both.

    A bell may be lost with its broker: a waiting run older than a lease is rung for again, at
    most once per lease.
    """
    now = now or timezone.now()
    count = 0
    for run in Run.objects.filter(state=Run.State.RUNNING, lease_until__lt=now):
        if run.cancel_requested_at is not None:
            count += run_end(run, Run.State.CANCELLED, run.reason)
            continue
        run_give_back(run, "The worker stopped without a word.")
        count += 1
    quiet = now - timedelta(seconds=LEASE_S)
    waiting = Run.objects.filter(state=Run.State.QUEUED, queued_at__lt=quiet).values_list(
        "pk", flat=True
    )
    if not waiting:
        return count
    rung = Outbox.objects.filter(topic="train", created_at__gte=quiet)
    heard = {payload.get("run_id") for payload in rung.values_list("payload", flat=True)}
    for pk in waiting:
        if pk not in heard:
            Outbox.objects.create(topic="train", payload={"run_id": pk})
            count += 1
    return count


def run_request_in_slot(
    *, view: View, slot: str, trigger: str, config: Mapping[str, Any] | None = None
) -> Run | None:
    """Queue a run for a slot once; ``None`` where the slot was taken or nothing can be learned.

    A slot in which there is nothing new is used up by a cancelled run that says so: the tick
    must not look through all pools again every 20 seconds.
    """
    if Run.objects.filter(slot=slot).exists():
        return None
    from inspection.errors import DomainError

    try:
        with transaction.atomic():
            return run_request(view=view, person=None, trigger=trigger, slot=slot, config=config)
    except RunOpenError:
        return None  # asked again at the next tick
    except IntegrityError:
        return None  # another scheduler was first
    except DomainError as error:
        now = timezone.now()
        try:
            with transaction.atomic():
                Run.objects.create(
                    view=view, trigger=trigger, slot=slot, state=Run.State.CANCELLED,
                    reason=error.message, queued_at=now, finished_at=now,
                )  # fmt: skip
        except IntegrityError:
            pass
        return None
