"""Device tokens: shown once, revoked at once."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from inspection.access import ADMINS, allow, person_of
from inspection.errors import DomainError, NotFoundError
from inspection.forms import DeviceForm
from inspection.selectors import devices_of, shown_zone
from inspection.services.people import device_create, device_revoke
from inspection.views import show_error


@never_cache
@allow(*ADMINS)
def devices(request: HttpRequest) -> HttpResponse:
    """List devices and create one; its token is on this answer and nowhere else."""
    by = person_of(request)
    form = DeviceForm(request.POST or None, person=by)
    token, created = "", None
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            created, token = device_create(
                by=by, name=data["name"], scopes=data["scopes"],
                line=form.chosen_line(), station=data["station"],
            )  # fmt: skip
        except DomainError as error:
            show_error(form, error)
        else:
            form = DeviceForm(person=by)
    context = {
        "devices": devices_of(by),
        "form": form,
        "token": token,
        "created": created,
        "zone": shown_zone(),
    }
    return render(request, "inspection/devices.html", context)


@require_POST
@allow(*ADMINS)
def revoke(request: HttpRequest, device_id: int) -> HttpResponse:
    """End a token."""
    by = person_of(request)
    device = devices_of(by).filter(pk=device_id).first()
    if device is None:
        raise NotFoundError("There is no such device on your lines.")
    device_revoke(by=by, device=device)
    messages.success(request, f"{device.name} is revoked: its token is refused from now on.")
    return redirect("inspection:devices")
