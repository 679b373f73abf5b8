"""The thresholds of the version that serves: what a pair would do, and setting it."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from inspection.access import MAKERS, allow, person_of
from inspection.errors import DomainError
from inspection.services.thresholds import thresholds_set
from training.consequences import consequence_of
from training.forms import PairForm, ThresholdsForm
from training.selectors import version_of
from training.views.versions import version_page


@require_safe
@allow(*MAKERS)
def consequence(request: HttpRequest, version_id: int) -> HttpResponse:
    """Return in words what a pair of thresholds would do, while somebody types it."""
    found = version_of(person_of(request), version_id)
    form = PairForm(request.GET)
    if form.is_valid():
        lines = consequence_of(found, **form.cleaned_data)
    else:
        names = {name: str(field.label) for name, field in form.fields.items()}
        lines = [
            f"{names.get(name, name)}: {error}"
            for name, errors in form.errors.items()
            for error in errors
        ]
    return render(request, "training/consequence.html", {"consequence": lines})


@require_POST
@allow(*MAKERS)
def set_thresholds(request: HttpRequest, version_id: int) -> HttpResponse:
    """Set the thresholds; what cannot be taken is said beside what was typed."""
    person = person_of(request)
    found = version_of(person, version_id)
    form = ThresholdsForm(request.POST)
    if not form.is_valid():
        return version_page(request, found, thresholds_form=form)
    try:
        threshold = thresholds_set(version=found, person=person, **form.cleaned_data)
    except DomainError as error:
        messages.error(request, error.message)
    else:
        messages.success(
            request, f"Policy {threshold.policy.version} has the thresholds from now on."
        )
    return redirect("training:version", found.pk)
