"""The demo's models and scores: asked for here, made by the workers, waited for in words."""

import time
from collections.abc import Callable, Sequence

from inspection.errors import DomainError
from inspection.models import Image, Person, ScoringJob, View
from training.models import Run
from training.services.runs import run_request

Say = Callable[[str], None]

RUN_DEADLINE_S = 900.0


def fit(view: View, engineer: Person) -> None:
    """Ask for the first model of a view, unless one was asked for or serves."""
    if view.promotions.exists() or view.runs.exclude(state=Run.State.FAILED).exists():
        return
    run_request(view=view, person=engineer, trigger=Run.Trigger.SETUP, promote_when_done=True)


def wait_for_models(views: Sequence[View], say: Say) -> None:
    """Return when every view has a serving model.

    Raises:
        DomainError: A run failed, or nothing moved for a long time.
    """
    until = time.monotonic() + RUN_DEADLINE_S
    for view in views:
        said = ""
        while not view.promotions.exists():
            run = view.runs.order_by("-id").first()
            if run is not None and run.state == Run.State.FAILED:
                raise DomainError(f"The first model of {view} could not be fitted: {run.reason}")
            if time.monotonic() > until:
                raise DomainError("The training worker does not answer: look at its lines above.")
            words = f"fitting {view}"
            if run is not None and run.total_steps:
                words += f": {run.note} {100 * run.done_steps // run.total_steps} %"
            if words != said:
                say(words)
                said = words
            time.sleep(1)


def wait_for_scores(say: Say) -> None:
    """Return when no live image waits for its score.

    Raises:
        DomainError: Nothing moved for a long time.
    """
    waiting = ScoringJob.objects.filter(
        purpose=ScoringJob.Purpose.LIVE,
        state__in=(ScoringJob.State.QUEUED, ScoringJob.State.RUNNING),
    )
    before, moved_at = waiting.count(), time.monotonic()
    while left := waiting.count():
        if left != before:
            before, moved_at = left, time.monotonic()
        if time.monotonic() - moved_at > RUN_DEADLINE_S / 5:
            raise DomainError("The scoring worker does not answer: look at its lines above.")
        say(f"scoring: {left} images to go")
        time.sleep(1)
    scored = Image.objects.filter(state=Image.State.SCORED).count()
    say(f"the queue is ready; {scored} images are scored")
