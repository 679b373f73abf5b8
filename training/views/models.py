"""Models: what serves, what waits to, what is missing; per view the pools and the buttons."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from inspection.access import MAKERS, allow, person_of
from inspection.errors import DomainError, NotFoundError, RefusedImageError
from inspection.models import DefectType, Person, View
from inspection.selectors.thresholds import first_threshold_of, threshold_of
from training.errors import NothingNewError, RunOpenError
from training.forms import GoldenForm, NormalsForm, TrainForm
from training.models import Attestation, PoolEntry, Run
from training.recipes import choices_of, settings_of
from training.selectors import (
    attestations_of_view,
    pool_images,
    runs_of_view,
    settings_of_view,
    versions_of_view,
    view_of,
    view_rows,
)
from training.selectors.views import retraining_of, views_of, zone_of
from training.services.golden import golden_add
from training.services.normals import files_from_uploads, normals_import
from training.services.runs import run_request
from training.verdicts import setup_verdict

PAGE_SIZE = 50
RUNS_SHOWN = 10
ATTESTATIONS_SHOWN = 5
THUMBS = 60


@require_safe
@allow(*MAKERS)
def models(request: HttpRequest) -> HttpResponse:
    """List every view with its model."""
    page = Paginator(views_of(person_of(request)), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {"rows": view_rows(list(page.object_list)), "page_obj": page}
    return render(request, "training/models.html", context)


@require_safe
@allow(*MAKERS)
def view_page(request: HttpRequest, view_id: int) -> HttpResponse:
    """Show one view: verdict, pools, uploads, versions, runs."""
    view = view_of(person_of(request), view_id)
    return _view_page(request, view)


def _view_page(
    request: HttpRequest,
    view: View,
    *,
    normals_form: NormalsForm | None = None,
    golden_form: GoldenForm | None = None,
    train_form: TrainForm | None = None,
) -> HttpResponse:
    (row,) = view_rows([view])
    versions = Paginator(versions_of_view(view), PAGE_SIZE).get_page(request.GET.get("page"))
    context: dict[str, Any] = {
        "row": row,
        "view": view,
        "zone": zone_of(view),
        "verdict": _verdict(row.serving or row.newest),
        "versions": versions,
        "page_obj": versions,
        "runs": list(runs_of_view(view)[:RUNS_SHOWN]),
        "attestations": list(attestations_of_view(view)[:ATTESTATIONS_SHOWN]),
        "normals_form": normals_form or NormalsForm(),
        "golden_form": golden_form or GoldenForm(view=view, prefix="golden"),
        "pools": _pools(row.pool),
        "train_form": train_form or TrainForm(initial=choices_of(settings_of_view(view))),
        "retraining": retraining_of(view),
    }
    status = 400 if normals_form or golden_form or train_form else 200
    return render(request, "training/view.html", context, status=status)


def _verdict(version: Any) -> Any:
    if version is None or not version.metrics.get("calibration"):
        return None
    threshold = threshold_of(version)
    if threshold is None:
        return setup_verdict(version, basis=first_threshold_of(version).sentence)
    return setup_verdict(version, basis=threshold.basis, review_from=threshold.review_from)


def _pools(pool: Any) -> list[dict[str, Any]]:
    states = (
        ("verified", "verified normals", pool.verified, "learned by the next run"),
        ("used", "used normals", pool.used, "in a model already, and learned again"),
        ("quarantined", "quarantined", pool.quarantined, "confirmed good, waiting to be verified"),
        ("defect", "defect library", pool.defect, "confirmed defects, never learned as normal"),
        ("withdrawn", "withdrawn", pool.withdrawn, "undone, disputed or golden"),
    )
    return [
        {"state": state, "name": name, "count": count, "words": words}
        for state, name, count, words in states
    ]


@require_safe
@allow(*MAKERS)
def pool(request: HttpRequest, view_id: int, state: str) -> HttpResponse:
    """Show one pool of a view as pictures."""
    view = view_of(person_of(request), view_id)
    if state not in PoolEntry.State.values:
        raise NotFoundError("There is no such pool.")
    page = Paginator(pool_images(view, state), THUMBS).get_page(request.GET.get("page"))
    label = PoolEntry.State(state).label
    context = {
        "view": view, "zone": zone_of(view), "page_obj": page, "entries": page.object_list,
        "label": label,
    }  # fmt: skip
    return render(request, "training/pool.html", context)


@require_POST
@allow(*MAKERS)
def train(request: HttpRequest, view_id: int) -> HttpResponse:
    """Queue a run and go to its page; a refusal is said on the view's page."""
    person = person_of(request)
    view = view_of(person, view_id)
    form = TrainForm(request.POST)
    if not form.is_valid():
        return _view_page(request, view, train_form=form)
    chosen = form.cleaned_data
    first = not view.promotions.exists()
    try:
        run = run_request(
            view=view, person=person,
            trigger=Run.Trigger.SETUP if first else Run.Trigger.BUTTON,
            config=settings_of(
                preset=chosen["preset"], foreground=chosen["foreground"], tiles=chosen["tiles"]
            ),
            promote_when_done=chosen["serve"],
        )  # fmt: skip
    except (NothingNewError, RunOpenError) as error:
        messages.warning(request, error.message)
        return redirect("training:view", view.pk)
    except DomainError as error:
        messages.error(request, error.message)
        return redirect("training:view", view.pk)
    return redirect("training:run", run.pk)


@require_POST
@allow(*MAKERS)
def normals(request: HttpRequest, view_id: int) -> HttpResponse:
    """Take in normals: a whole form, or one piece of a batch sent by the page's script."""
    person = person_of(request)
    view = view_of(person, view_id)
    wants_json = request.headers.get("Accept") == "application/json"
    form = NormalsForm(request.POST, request.FILES)
    if not form.is_valid():
        if wants_json:
            return JsonResponse(_form_error(form), status=400)
        return _view_page(request, view, normals_form=form)
    uploads = [(file.name or "", file.file) for file in form.cleaned_data["images"]]
    try:
        result = normals_import(
            view=view, person=person, reason=form.cleaned_data["reason"],
            files=files_from_uploads(uploads, lot=form.cleaned_data["lot"]),
            attestation=_attestation(person, view, form.cleaned_data["attestation"]),
        )  # fmt: skip
    except DomainError as error:
        if wants_json:
            return JsonResponse(error.as_json(), status=error.status)
        messages.error(request, error.message)
        return redirect("training:view", view.pk)
    if wants_json:
        return JsonResponse(
            {
                "attestation": result.attestation.pk if result.attestation else None,
                "added": result.added,
                "already_there": result.already_there,
                "refused": [{"name": name, "why": why} for name, why in result.refused],
            }
        )
    for name, why in result.refused[:10]:
        messages.warning(request, f"{name}: {why}")
    messages.success(request, result.sentence)
    return redirect("training:view", view.pk)


def _attestation(person: Person, view: View, number: int | None) -> Attestation | None:
    if number is None:
        return None
    batch = Attestation.objects.filter(pk=number, person=person, view=view).first()
    if batch is None:
        raise NotFoundError("That batch is not yours: start again.")
    return batch


def _form_error(form: NormalsForm) -> dict[str, Any]:
    fields = {name: [str(error) for error in errors] for name, errors in form.errors.items()}
    message = " ".join(error for errors in fields.values() for error in errors)
    return {"error": {"code": "invalid", "message": message, "extra": {"fields": fields}}}


@require_POST
@allow(*MAKERS)
def golden(request: HttpRequest, view_id: int) -> HttpResponse:
    """Take in images of known truth."""
    person = person_of(request)
    view = view_of(person, view_id)
    form = GoldenForm(request.POST, request.FILES, view=view, prefix="golden")
    if not form.is_valid():
        return _view_page(request, view, golden_form=form)
    truth = form.cleaned_data["truth"]
    kind = DefectType.objects.filter(pk=int(truth)).first() if truth.isdigit() else None
    uploads = [(file.name or "", file.file) for file in form.cleaned_data["images"]]
    count = 0
    try:
        for file in files_from_uploads(uploads, lot=""):
            try:
                golden_add(
                    view=view, person=person, data=file.data, is_defect=truth != "good",
                    defect_type=kind, file_name=file.name,
                )  # fmt: skip
                count += 1
            except RefusedImageError as error:
                messages.warning(request, f"{file.name}: {error.message}")
    except DomainError as error:
        messages.error(request, error.message)
    if count:
        messages.success(request, f"{count} in the golden set.")
    return redirect("training:view", view.pk)
