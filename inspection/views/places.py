"""Lines and stations."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from inspection.access import ADMINS, MAKERS, allow, lines_for, may, person_of
from inspection.errors import DomainError
from inspection.forms import LineForm, StationForm
from inspection.services.places import line_create, station_create
from inspection.views import show_error


@allow(*MAKERS)
def lines(request: HttpRequest) -> HttpResponse:
    """List lines with their stations, and add one of either."""
    by = person_of(request)
    action = request.POST.get("action", "")
    line_form = LineForm(request.POST if action == "line" else None)
    station_form = StationForm(request.POST if action == "station" else None, person=by)
    form = {"line": line_form, "station": station_form}.get(action)
    if request.method == "POST" and form is not None and form.is_valid():
        try:
            if action == "line":
                line_create(name=form.cleaned_data["name"], person=by)
            else:
                station_create(**form.cleaned_data, person=by)
        except DomainError as error:
            show_error(form, error)
        else:
            messages.success(request, f"{form.cleaned_data['name']} is there now.")
            return redirect("inspection:lines")
    context = {
        "lines": lines_for(by).prefetch_related("stations"),
        "line_form": line_form,
        "station_form": station_form,
        "may_add_line": may(by, None, ADMINS),
    }
    return render(request, "inspection/lines.html", context)
