"""Parts: the list, one part, hold and release."""

from datetime import date, datetime, time, timedelta
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import urlencode
from django.views.decorators.http import require_POST

from inspection import hooks
from inspection.access import DECIDERS, MAKERS, WATCHERS, allow, lines_for, may, person_of
from inspection.errors import NotFoundError
from inspection.forms import HoldForm
from inspection.models import Part, Person, Routing, Score
from inspection.selectors import (
    PartFilter,
    image_of,
    may_see,
    part_of,
    parts_of,
    products_of,
    shown_zone,
)
from inspection.selectors.parts import IN_REVIEW, STATES, shown_state
from inspection.selectors.references import reference_choices
from inspection.services.parts import part_hold, part_release
from inspection.services.references import reference_set

PAGE_SIZE = 50


@allow(*WATCHERS)
def parts(request: HttpRequest) -> HttpResponse:
    """List parts, newest first; a part that somebody is still asked about says only that."""
    person = person_of(request)
    zone = shown_zone()
    chosen = PartFilter(
        product=_number(request.GET.get("product")),
        line=_number(request.GET.get("line")),
        state=request.GET.get("state", ""),
        text=request.GET.get("q", "").strip()[:120],
        since=_midnight(request.GET.get("from"), zone),
        until=_midnight(request.GET.get("to"), zone, days=1),
    )
    page = Paginator(parts_of(person, chosen), PAGE_SIZE).get_page(request.GET.get("page"))
    kept = {key: str(value) for key, value in request.GET.items() if key != "page" and value}
    context = {
        "page_obj": page,
        "query": urlencode(kept),
        "rows": [{"part": part, "state": shown_state(part)} for part in page],
        "chosen": chosen,
        "kept": kept,
        "states": [{"value": value, "label": label} for value, label in STATES.items()],
        "products": products_of(person).values("pk", "name"),
        "lines": lines_for(person).values("pk", "name"),
        "zone": zone,
    }
    return render(request, "inspection/parts.html", context)


@allow(*DECIDERS)
def part(request: HttpRequest, part_id: int) -> HttpResponse:
    """Show one part: pictures, who said what, hold; what the model says once it may be seen."""
    person = person_of(request)
    return _part_page(request, person, part_of(person, part_id), HoldForm())


@require_POST
@allow(*DECIDERS)
def hold(request: HttpRequest, part_id: int) -> HttpResponse:
    """Hold a part."""
    person = person_of(request)
    found = part_of(person, part_id)
    form = HoldForm(request.POST)
    if not form.is_valid():
        return _part_page(request, person, found, form)
    part_hold(part=found, person=person, reason=form.cleaned_data["reason"])
    messages.success(request, f"Part {found.serial} is on hold, and its line was told.")
    return redirect("inspection:part", part_id=found.pk)


@require_POST
@allow(*WATCHERS)
def release(request: HttpRequest, part_id: int) -> HttpResponse:
    """Release a held part."""
    person = person_of(request)
    found = part_of(person, part_id)
    part_release(part=found, person=person)
    messages.success(request, f"Part {found.serial} is released, and its line was told.")
    return redirect("inspection:part", part_id=found.pk)


@require_POST
@allow(*MAKERS)
def reference(request: HttpRequest, part_id: int, image_id: int) -> HttpResponse:
    """Make one of the part's pictures the golden reference of its view."""
    person = person_of(request)
    found = part_of(person, part_id)
    image = image_of(person, image_id)
    if image.part_id != found.pk:
        raise NotFoundError("This part has no such picture.")
    view = reference_set(image=image, person=person)
    messages.success(request, f"This picture is the golden reference of {view} now.")
    return redirect("inspection:part", part_id=found.pk)


def _part_page(request: HttpRequest, person: Person, found: Part, form: HoldForm) -> HttpResponse:
    is_open = may_see(person, found)
    images = list(
        found.images.select_related("view", "station").order_by("-round", "view__rank", "id")
    )
    # Somebody is asked: what others said before would answer for them.
    shows_history = is_open or not found.is_in_review  # type: ignore[attr-defined]
    context = {
        "part": found,
        "state": shown_state(found) if shows_history else IN_REVIEW,
        "images": images,
        "model_says": _model_says(found) if is_open else None,
        "history": hooks.part_history.ask(found) if shows_history else None,
        "references": (
            {image.view.reference_image_id for image in images} if shows_history else set()
        ),
        "choices": reference_choices(found) if may(person, found.line, MAKERS) else set(),
        "form": form,
        "may_release": may(person, found.line, WATCHERS),
        "zone": shown_zone(),
    }
    return render(request, "inspection/part.html", context)


def _model_says(part: Part) -> dict[str, Any]:
    routing = Routing.objects.filter(part=part, round=part.round).select_related("policy").first()
    scores = (
        Score.objects.filter(routings=routing).select_related("image__view", "model_version")
        if routing is not None
        else []
    )
    return {
        "outcome": part.outcome,
        "reasons": [reason["message"] for reason in routing.reasons] if routing else [],
        "policy_version": routing.policy.version if routing and routing.policy else None,
        "scores": [
            {
                "score": score,
                "view": score.image.view.name,
                "version": str(score.model_version),
                "surprise_percent": 100 * score.surprise,
            }
            for score in scores
        ],
    }


def _number(text: str | None) -> int | None:
    # 18 digits fit the database's integers.
    if text and len(text) <= 18 and text.isascii() and text.isdecimal():
        return int(text)
    return None


def _midnight(text: str | None, zone: Any, *, days: int = 0) -> datetime | None:
    """Return the start of a day at the site, ``days`` later; ``None`` for what is no date."""
    try:
        return datetime.combine(date.fromisoformat(text or ""), time(), zone) + timedelta(days=days)
    except (ValueError, OverflowError):
        return None
