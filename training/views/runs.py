"""One run: its progress while it works, its log and times after."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from inspection.access import MAKERS, allow, person_of
from inspection.errors import DomainError
from training.models import Run
from training.recipes import words_of
from training.selectors import run_of
from training.selectors.views import zone_of
from training.services.runs import OPEN_STATES, run_cancel

# What htmx takes as "stop asking".
STOP_POLLING = 286


@require_safe
@allow(*MAKERS)
def run(request: HttpRequest, run_id: int) -> HttpResponse:
    """Show a run."""
    found = run_of(person_of(request), run_id)
    return render(request, "training/run.html", _context(found))


@require_safe
@allow(*MAKERS)
def progress(request: HttpRequest, run_id: int) -> HttpResponse:
    """Return the part of a run's page that moves; a run that has ended asks for no more."""
    found = run_of(person_of(request), run_id)
    status = 200 if found.state in OPEN_STATES else STOP_POLLING
    return render(request, "training/run_progress.html", _context(found), status=status)


@require_POST
@allow(*MAKERS)
def cancel(request: HttpRequest, run_id: int) -> HttpResponse:
    """Stop a run."""
    person = person_of(request)
    found = run_of(person, run_id)
    try:
        run_cancel(run=found, person=person)
    except DomainError as error:
        messages.error(request, error.message)
    return redirect("training:run", found.pk)


def _context(found: Run) -> dict[str, Any]:
    end = found.finished_at
    seconds = (end - found.started_at).total_seconds() if end and found.started_at else None
    total = sum(found.stage_seconds.values())
    stages = [
        {"name": name, "seconds": spent, "share": round(100 * spent / total) if total else 0}
        for name, spent in found.stage_seconds.items()
    ]
    return {
        "run": found,
        "zone": zone_of(found.view),
        "recipe": words_of(found.config),
        "is_open": found.state in OPEN_STATES,
        "is_running": found.state == Run.State.RUNNING,
        "stages": stages,
        "seconds": seconds,
        "percent": round(100 * found.done_steps / found.total_steps) if found.total_steps else None,
    }
